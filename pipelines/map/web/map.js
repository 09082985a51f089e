// The map and its panel: switches and filters, counts, clicks. Everything shown comes from the page's data.
"use strict";
const NARROW = innerWidth <= 720;
const at = (id) => document.getElementById(id);
const last = { score: DATA.edges.score.length - 1, area: DATA.edges.area.length - 1 };
const START = { score: 0, low: 0, high: last.area };
const state = { on: DATA.questions.map((_, q) => q), ...START };
const FIT = { padding: NARROW ? { top: 30, bottom: 130, left: 20, right: 20 } : { top: 40, bottom: 40, left: 350, right: 60 } };
if (pyramid) maplibregl.addProtocol("pmtiles", new pmtiles.Protocol().tile);

const map = new maplibregl.Map({
  container: "map", style, bounds: DATA.bounds, attributionControl: false, dragRotate: false, fadeDuration: 0,
  fitBoundsOptions: FIT,
});
map.touchZoomRotate.disableRotation();
map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
map.addControl(new maplibregl.ScaleControl(), NARROW ? "top-left" : "bottom-right");
map.once("idle", () => { document.body.dataset.ready = performance.now().toFixed(0); });

// Counts and filters.
function refresh() {
  let shown = 0, total = 0;
  DATA.questions.forEach((question, q) => {
    const passed = passes(question, state);
    at(`count-${q}`).textContent = passed === question.total ? whole(passed) : `${whole(passed)} of ${whole(question.total)}`;
    total += question.total;
    if (state.on.includes(q)) shown += passed;
  });
  at("count").replaceChildren(element("b", {}, whole(shown)), ` of ${whole(total)} objects shown`);
  at("score-said").textContent = state.score ? `at least ${DATA.edges.score[state.score].toFixed(2)}` : "any";
  at("area-low-said").textContent = state.low ? area(DATA.edges.area[state.low]) : "any";
  at("area-high-said").textContent = state.high < last.area ? area(DATA.edges.area[state.high]) : "any";
  at("reset").hidden = Object.keys(START).every((name) => state[name] === START[name]);
}
function applyFilters() {
  const passed = passing(state);
  for (const { id, own } of filtered) map.setFilter(id, own ? [...passed, own] : passed);
}
// Filters can be set once the layers are there, also while tiles are being loaded.
let styled = false;
map.once("style.load", () => { styled = true; applyFilters(); });
function changed() {
  refresh();
  if (styled) applyFilters();
}

// The panel.
function toggle(label, count, mark, { checked, id, enabled = true }, onChange) {
  const box = element("input", { type: "checkbox", checked, defaultChecked: checked, disabled: !enabled, onchange: () => onChange(box.checked) });
  const said = element("span", { className: "number", id }, count);
  return element("label", { className: enabled ? "toggle" : "toggle off" }, box, mark, element("span", { className: "name" }, label), said);
}
const swatch = (settings) => element("i", { className: "swatch", ...settings });
function showLayers(ids, visible) {
  for (const id of ids) map.setLayoutProperty(id, "visibility", visible ? "visible" : "none");
}
function addQuestions() {
  DATA.questions.forEach((question, q) => {
    const mark = swatch({ style: `background:${question.colour}` });
    at("questions").append(toggle(question.text, "", mark, { checked: true, id: `count-${q}` }, (on) => {
      state.on = on ? [...state.on, q].sort((a, b) => a - b) : state.on.filter((other) => other !== q);
      changed();
    }));
  });
}
function addLayerSwitches() {
  const { counts } = DATA.tiles;
  const tiles = (kinds) => kinds.reduce((sum, kind) => sum + (counts[kind] ?? 0), 0);
  const add = (label, count, kind, checked, ids) => at("layers").append(toggle(label, count === null ? "" : whole(count),
    swatch({ className: `swatch ${kind}` }), { checked, enabled: ids.length > 0 && count !== 0 }, (on) => showLayers(ids, on)));
  add("Imagery", null, "imagery", DATA.pictures.length > 0, DATA.pictures.map((_, n) => `scene-${n}`));
  add("Scene outlines", DATA.outlines.features.length, "outline", true, ["scene-outlines"]);
  const both = (id) => [`${id}-fill`, `${id}-line`];
  if (tiles(TILE_LAYERS.texts)) add("Answers in words", tiles(TILE_LAYERS.texts), "text", false, both("texts"));
  add("Failed tiles", tiles(TILE_LAYERS.failed), "failed", false, both("failed"));
  add("Tiles with nothing found", tiles(TILE_LAYERS.silent), "empty", false, both("silent"));
}
function addSliders() {
  const slider = (id, most, value, onInput) => {
    Object.assign(at(id), { min: 0, max: most, value, disabled: most < 1 });
    at(id).addEventListener("input", () => { onInput(Number(at(id).value)); changed(); });
  };
  slider("score", last.score, 0, (value) => { state.score = value; });
  slider("area-low", last.area, 0, (value) => { state.low = value; });
  slider("area-high", last.area, last.area, (value) => { state.high = value; });
  at("reset").onclick = () => {
    Object.assign(state, START);
    for (const [id, name] of [["score", "score"], ["area-low", "low"], ["area-high", "high"]]) at(id).value = state[name];
    changed();
  };
  at("filters").hidden = DATA.questions.length === 0;
}
function addWords() {
  at("title").textContent = DATA.title;
  at("subtitle").textContent = DATA.subtitle;
  at("facts").append(...Object.entries(DATA.facts).flatMap(([name, value]) => row(name, value)));
  at("notes").append(...DATA.notes.map((note) => element("li", {}, note)));
  notice(SERVED ? "" : DATA.notice);
  at("fold").onclick = () => fold(at("panel").classList.contains("folded"));
  fold(!NARROW);
}
function notice(said) {
  at("notice").textContent = said;
  at("notice").hidden = !said;
}
function fold(open) {
  at("panel").classList.toggle("folded", !open);
  at("fold").setAttribute("aria-expanded", String(open));
}

// Clicks.
function choose(geometry) {
  map.getSource("chosen").setData(geometry ? { type: "Feature", properties: {}, geometry } : collection([]));
}
function wholeGeometry({ layer, properties, geometry }) {
  if (geometry.type === "Point") return geometry;
  const pieces = map.querySourceFeatures(layer.source, { sourceLayer: "objects", filter: ["==", ["get", "i"], properties.i] });
  return { type: "MultiPolygon", coordinates: pieces.flatMap((piece) =>
    piece.geometry.type === "Polygon" ? [piece.geometry.coordinates] : piece.geometry.coordinates) };
}
function objectsAt(point) {
  const around = [[point.x - 4, point.y - 4], [point.x + 4, point.y + 4]];
  const exact = map.queryRenderedFeatures(point, { layers: clickable });
  const hits = exact.length ? exact : map.queryRenderedFeatures(around, { layers: clickable });
  const once = new Map(hits.map((hit) => [`${hit.layer.source.startsWith("far")}${hit.properties.i}`, hit]));
  return [...once.values()].map((hit) =>
    hit.layer.source.startsWith("far") ? inArchive(hit.properties, wholeGeometry(hit)) : inPage(hit.properties.i));
}
function tilesAt(point) {
  const layers = Object.keys(TILE_LAYERS).map((id) => `${id}-fill`);
  return map.queryRenderedFeatures(point, { layers }).map(({ properties: p, geometry }) =>
    ({ kind: p.kind, problem: text(p.problem), tile: text(p.tile), question: text(p.question), geometry }));
}
map.on("click", ({ point }) => {
  const found = [...objectsAt(point), ...tilesAt(point)];
  if (found.length) openCard(found, 0, choose);
  else closeCard(choose);
});
map.on("mousemove", ({ point }) => {
  if (!map.loaded()) return;
  const layers = [...clickable, ...Object.keys(TILE_LAYERS).map((id) => `${id}-fill`)];
  map.getCanvas().style.cursor = map.queryRenderedFeatures(point, { layers }).length ? "pointer" : "";
});
map.on("error", ({ error, sourceId }) => {
  console.warn(sourceId, error?.message);
  if (sourceId?.startsWith("far")) notice(`The files beside this page cannot be read (${error.message}); only a sample is shown.`);
});
addEventListener("keydown", (event) => { if (event.key === "Escape") closeCard(choose); });

addWords();
addQuestions();
addLayerSwitches();
addSliders();
refresh();
