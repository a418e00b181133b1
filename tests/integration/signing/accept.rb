# Loads an assertion as Ruby programs do and says, as JSON, what a verifier would look at.
#
#   ruby accept.rb ASSERTION
require "json"
require "yaml"

text = File.binread(ARGV.fetch(0))
loose = YAML.unsafe_load(text)
strict = YAML.safe_load(text, permitted_classes: [Psych::Omap])

fields = %w[
  out_manifest in_manifest base_manifests cache_common_manifest cache_package_manifest
  release name type optionals
]
puts JSON.generate(
  "class" => loose.class.name,
  "keys" => loose.keys,
  "same" => loose == strict,
  "fields" => fields.to_h { |field| [field, loose[field]] },
  "again" => YAML.unsafe_load(loose.to_yaml) == loose,
  "rewritten" => loose.to_yaml,
)
