// Sources and layers of the map, bottom up, and which of the objects pass the filters. Knows no panel.
"use strict";
const HIDDEN = { visibility: "none" };
const colours = ["match", ["get", "q"], ...DATA.questions.flatMap((one, q) => [q, one.colour]), "#fff"];
const pyramid = SERVED && DATA.pyramid;
const near = pyramid ? pyramid.outlines.minzoom : 24;

// The objects in the page as features: outlines where the page has them, and one point each.
function feature(i, geometry) {
  const { q, s, a, z } = DATA.objects;
  return { type: "Feature", id: i, geometry, properties: { i, q: q[i], s: s[i], a: a[i], z: z[i] } };
}
const objectNumbers = [...DATA.objects.q.keys()];
const outlined = objectNumbers.filter((i) => DATA.objects.g[i]).map((i) => feature(i, DATA.objects.g[i]));
const dotted = objectNumbers.map((i) =>
  feature(i, { type: "Point", coordinates: [DATA.objects.x[i], DATA.objects.y[i]] }));
const collection = (features) => ({ type: "FeatureCollection", features });

const sources = {
  "scene-outlines": { type: "geojson", data: DATA.outlines },
  tiles: { type: "geojson", data: collection(DATA.tiles.features) },
  outlines: { type: "geojson", data: collection(outlined), tolerance: 0.1, maxzoom: 20 },
  points: { type: "geojson", data: collection(dotted), maxzoom: 20 },
  chosen: { type: "geojson", data: collection([]) },
};
DATA.pictures.forEach((picture, n) => {
  sources[`scene-${n}`] = { type: "image", url: picture.url, coordinates: picture.corners };
});
if (pyramid) {
  const archive = (name) => ({ type: "vector", url: `pmtiles://${new URL(pyramid[name].name, location)}` });
  sources["far-outlines"] = archive("outlines");
  sources["far-points"] = archive("points");
}

const wide = (low, high) => ["interpolate", ["linear"], ["zoom"], 10, low, 18, high];
const crowded = DATA.questions.reduce((sum, question) => sum + question.total, 0) > 3000;
const dot = {
  "circle-radius": wide(crowded ? 1.5 : 3, crowded ? 4 : 5), "circle-color": colours, "circle-opacity": 0.95,
  "circle-stroke-width": wide(crowded ? 0.25 : 1, 1), "circle-stroke-color": "rgba(15,20,30,0.75)",
};
const small = ["<", ["zoom"], ["get", "z"]];

// Layers of objects: id, source, kind, paint, own filter and other settings.
function objectLayers(name, source, settings) {
  return [
    { id: `${name}-fill`, type: "fill", paint: { "fill-color": colours, "fill-opacity": 0.3 } },
    { id: `${name}-casing`, type: "line", paint: { "line-color": "rgba(15,20,30,0.55)", "line-width": wide(2.5, 5) } },
    { id: `${name}-line`, type: "line", paint: { "line-color": colours, "line-width": wide(1.25, 2.5) } },
  ].map((layer) => ({ source, ...settings, ...layer }));
}
const filtered = [
  ...objectLayers("outlines", "outlines", {}),
  { id: "points", type: "circle", source: "points", paint: dot, own: pyramid ? undefined : small,
    ...(pyramid ? { maxzoom: Math.max(pyramid.points.minzoom, 0.01) } : {}) },
];
if (pyramid) {
  const from = { "source-layer": "objects" };
  filtered.push(...objectLayers("far-outlines", "far-outlines", { ...from, minzoom: near }));
  filtered.push({ id: "far-points", type: "circle", source: "far-points", paint: dot, ...from,
    minzoom: pyramid.points.minzoom, own: small });
}
const clickable = filtered.filter((layer) => layer.type !== "line").map((layer) => layer.id);

const FAILED = "#ff2d2d", SILENT = "#aeb6c2";
const silent = ["match", ["get", "kind"], ["failed", "malformed"], FAILED, SILENT];
const ofTiles = (id, kinds) => ["fill", "line"].map((type) => ({
  id: `${id}-${type}`, type, source: "tiles", layout: HIDDEN, filter: ["in", ["get", "kind"], ["literal", kinds]],
  paint: type === "fill" ? { "fill-color": silent, "fill-opacity": 0.28 } : { "line-color": silent, "line-width": 1.25 },
}));
const TILE_LAYERS = { failed: ["failed", "malformed"], silent: ["empty", "nodata"], texts: ["text"] };

const style = {
  version: 8,
  sources,
  layers: [
    { id: "ground", type: "background", paint: { "background-color": "#1f242c" } },
    ...DATA.pictures.map((_, n) => ({
      id: `scene-${n}`, type: "raster", source: `scene-${n}`, paint: { "raster-fade-duration": 0 } })),
    { id: "scene-outlines", type: "line", source: "scene-outlines",
      paint: { "line-color": "#fff", "line-opacity": 0.5, "line-width": 1 } },
    ...Object.entries(TILE_LAYERS).flatMap(([id, kinds]) => ofTiles(id, kinds)),
    ...filtered.map(({ own, ...layer }) => (own ? { ...layer, filter: own } : layer)),
    { id: "chosen", type: "line", source: "chosen", paint: { "line-color": "#fff", "line-width": 3 } },
    { id: "chosen-point", type: "circle", source: "chosen", filter: ["==", ["geometry-type"], "Point"],
      paint: { "circle-radius": 8, "circle-opacity": 0, "circle-stroke-width": 3, "circle-stroke-color": "#fff" } },
  ],
};

// What passes: questions that are on, a least score, and areas between two edges.
function passing({ on, score, low, high }) {
  return ["all", ["in", ["get", "q"], ["literal", on]], [">=", ["get", "s"], DATA.edges.score[score]],
    [">=", ["get", "a"], DATA.edges.area[low]], ["<", ["get", "a"], DATA.edges.area[high]]];
}

// Objects of a question that pass, of all there are: from the counts, so also for what is not in the page.
function passes(question, { score, low, high }) {
  let total = 0;
  for (const [s, a, n] of question.counts) if (s >= score && a >= low && a < high) total += n;
  return total;
}
