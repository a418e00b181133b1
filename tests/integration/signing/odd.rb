# Loads documents as Ruby programs do: a JSON list of them comes in, a JSON list of their texts goes out
# (null for a document that Ruby refuses; a value that is no text is null).
require "json"
require "yaml"

def texts(document)
  loaded = YAML.safe_load(document, permitted_classes: [Psych::Omap])
  loaded = loaded.reduce({}, :merge) if loaded.is_a?(Array)
  return nil unless loaded.is_a?(Hash)
  loaded.to_h { |key, value| [key.to_s, value.is_a?(String) ? value : nil] }
rescue Psych::Exception, ArgumentError, TypeError
  nil
end

puts JSON.generate(JSON.parse($stdin.read).map { |document| texts(document) })
