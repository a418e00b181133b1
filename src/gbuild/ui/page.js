"use strict";
(() => {
  const releases = Array.from(document.querySelectorAll(".release"));
  const tools = document.querySelector(".tools");
  const search = tools.querySelector("input");
  const shown = tools.querySelector("output");
  const chips = Array.from(tools.querySelectorAll("button[data-kind]"));
  const texts = new Map();
  const chosen = { verdict: "", status: "" };

  const text = (release) => {
    if (!texts.has(release)) texts.set(release, release.textContent.toLowerCase());
    return texts.get(release);
  };
  const matches = (release, words) =>
    (!chosen.verdict || release.dataset.verdict === chosen.verdict) &&
    (!chosen.status || release.dataset.statuses.split(" ").includes(chosen.status)) &&
    words.every((word) => text(release).includes(word));

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const release of releases) {
      const visible = matches(release, words);
      if (release.hidden === visible) release.hidden = !visible;
      count += visible;
    }
    shown.textContent = `${count} of ${releases.length} shown`;
    for (const chip of chips) {
      chip.setAttribute("aria-pressed", String(chosen[chip.dataset.kind] === chip.dataset.value));
    }
    const state = new URLSearchParams();
    if (search.value) state.set("q", search.value);
    if (chosen.verdict) state.set("verdict", chosen.verdict);
    if (chosen.status) state.set("status", chosen.status);
    const hash = state.toString();
    if (hash || location.hash.includes("=")) history.replaceState(null, "", `#${hash}`);
  };

  const restore = () => {
    const hash = location.hash.slice(1);
    const target = hash && !hash.includes("=") ? document.getElementById(hash) : null;
    if (target) target.open = true;
    const state = new URLSearchParams(hash.includes("=") ? hash : "");
    search.value = state.get("q") ?? "";
    chosen.verdict = state.get("verdict") ?? "";
    chosen.status = state.get("status") ?? "";
    filter();
  };

  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 60);
  });
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      const { kind, value } = chip.dataset;
      chosen[kind] = chosen[kind] === value ? "" : value;
      filter();
    });
  }
  tools.querySelector("#fold").addEventListener("click", () => {
    const visible = releases.filter((release) => !release.hidden);
    const open = !visible.some((release) => release.open);
    for (const release of visible) release.open = open;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
    }
  });
  window.addEventListener("hashchange", restore);
  tools.hidden = false;
  restore();
})();
