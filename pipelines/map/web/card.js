// The card about what was clicked: words, figures, and the tile's picture with box and mask. Knows no filter.
"use strict";
const card = document.getElementById("card");
const SVG = "http://www.w3.org/2000/svg";
const text = (number) => DATA.texts[number] ?? "";

// What the card says of an object in the page, or of one in the tile archive.
function inPage(i) {
  const o = DATA.objects;
  return { q: o.q[i], score: o.s[i], area: o.a[i], id: o.id[i], label: text(o.label[i]), thinking: text(o.thinking[i]),
    tiles: o.tiles[i].map(text), n: o.n[i], tile: text(o.tile[i]), box: o.box[i], date: text(o.date[i]),
    geometry: o.g[i] ?? { type: "Point", coordinates: [o.x[i], o.y[i]] } };
}
function inArchive(properties, geometry) {
  const p = properties;
  return { q: p.q, score: p.s, area: p.a, id: p.id, label: p.label ?? "", thinking: p.thinking ?? "",
    tiles: (p.tiles ?? "").split("\n"), n: p.n, tile: p.tile, box: (p.box ?? "").split(" ").map(Number), date: p.date ?? "", geometry };
}

async function pictureOf(tile) {
  if (DATA.thumbnails[tile]) return DATA.thumbnails[tile];
  if (!SERVED) return null;
  const answer = await fetch(`picture?tile=${encodeURIComponent(tile)}`).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

// Longitude and latitude to 0–100 across and down the tile, from three of its corners.
function across([topLeft, topRight, , bottomLeft]) {
  const [ux, uy] = [topRight[0] - topLeft[0], topRight[1] - topLeft[1]];
  const [vx, vy] = [bottomLeft[0] - topLeft[0], bottomLeft[1] - topLeft[1]];
  const det = ux * vy - uy * vx;
  return ([lon, lat]) => {
    const [x, y] = [lon - topLeft[0], lat - topLeft[1]];
    return [(100 * (x * vy - y * vx)) / det, (100 * (ux * y - uy * x)) / det];
  };
}
function ringsOf(geometry) {
  if (geometry.type === "Polygon") return geometry.coordinates;
  return geometry.type === "MultiPolygon" ? geometry.coordinates.flat() : [];
}
function drawn(tag, settings) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(settings)) made.setAttribute(name, value);
  return made;
}
function overlay(found, corners, colour) {
  const place = across(corners);
  const path = ringsOf(found.geometry)
    .map((ring) => `M${ring.map((point) => place(point).map((v) => v.toFixed(2)).join(" ")).join("L")}Z`).join("");
  const svg = drawn("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" });
  const line = { stroke: colour, "stroke-width": 1.6, "vector-effect": "non-scaling-stroke" };
  if (path) svg.append(drawn("path", { d: path, fill: colour, "fill-opacity": 0.25, "fill-rule": "evenodd", ...line }));
  if (found.box?.length === 4) {
    const [x0, y0, x1, y1] = found.box.map((v) => v * 100);
    const rectangle = { x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: "none" };
    if (Math.max(x1 - x0, y1 - y0) < 6) { // too small to be found in the whole tile without a ring
      svg.append(drawn("circle", { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, r: 5, fill: "none", ...line, stroke: "#fff" }));
    }
    svg.append(drawn("rect", { ...rectangle, ...line, stroke: "#fff", "stroke-dasharray": "4 3" }));
  }
  return svg;
}
// Of a small thing the picture has two views, the whole tile and the thing's surroundings; a click changes them.
function closeUp(frame, inner, box) {
  const side = box?.length === 4 ? Math.max(box[2] - box[0], box[3] - box[1]) : 1;
  if (side > 0.35) return;
  const scale = Math.min(0.4 / side, 5), middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const shift = middle.map((at) => 100 * Math.min(0, Math.max(1 - scale, 0.5 - at * scale)));
  const near = `translate(${shift[0]}%, ${shift[1]}%) scale(${scale})`;
  const button = element("button", { type: "button", className: "view", textContent: "Closer" });
  button.onclick = () => {
    const close = !inner.style.transform;
    inner.style.transform = close ? near : "";
    button.textContent = close ? "Whole tile" : "Closer";
  };
  frame.append(button);
}
async function picture(found, colour) {
  const frame = element("figure", { className: "picture" });
  const view = await pictureOf(found.tile);
  if (view) {
    const inner = element("div", {}, element("img", { src: view.url, alt: `Tile ${found.tile}` }), overlay(found, view.corners, colour));
    frame.append(inner);
    closeUp(frame, inner, found.box);
  } else {
    frame.classList.add("without");
    frame.append(SERVED ? "The picture of this tile cannot be read."
      : "The picture of this tile is not in the page; “show --serve” reads it.");
  }
  return frame;
}

const row = (name, value) => [element("dt", {}, name), element("dd", {}, value)];
function facts(found) {
  const shown = found.tiles.join("\n") + (found.n > found.tiles.length ? `\n… ${whole(found.n)} in all` : "");
  return element("dl", {}, ...row("Score", found.score.toFixed(2)), ...row("Area", area(found.area)),
    ...(found.label ? row("Label", found.label) : []), ...(found.date ? row("Imagery", found.date) : []),
    ...row(found.n > 1 ? "Tiles" : "Tile", shown), ...row("Id", found.id));
}

// Several things may lie under one click: the card shows one and pages through the others.
let opened = 0;
async function openCard(list, number, onChange) {
  const turn = ++opened, found = list[number];
  onChange(found.geometry);
  const content = found.kind ? tileContent(found) : await objectContent(found);
  if (turn !== opened) return;
  const bar = element("div", { className: "bar" });
  if (list.length > 1) {
    const step = (by, sign, title) => element("button", { type: "button", title, textContent: sign,
      onclick: () => openCard(list, (number + by + list.length) % list.length, onChange) });
    bar.append(step(-1, "‹", "Previous"), `${number + 1} of ${list.length} here`, step(1, "›", "Next"));
  }
  const close = element("button", { type: "button", className: "close", title: "Close (Esc)", textContent: "×" });
  close.onclick = () => closeCard(onChange);
  bar.append(close);
  card.replaceChildren(bar, ...content);
  card.hidden = false;
  card.scrollTop = 0;
}
function closeCard(onChange) {
  opened++;
  card.hidden = true;
  onChange(null);
}
async function objectContent(found) {
  const question = DATA.questions[found.q];
  const title = element("h2", {}, element("i", { className: "swatch", style: `background:${question.colour}` }), question.text);
  const thinking = element("blockquote", { className: "thinking" }, found.thinking || "No thinking was written down.");
  return [title, await picture(found, question.colour), thinking, facts(found)];
}
const ENDINGS = { failed: "This tile failed", malformed: "The answer cannot be read", empty: "Nothing found here",
  nodata: "No data here", text: "Answer" };
function tileContent(found) {
  const title = element("h2", {}, element("i", { className: `swatch ${found.kind}` }), ENDINGS[found.kind]);
  const said = found.problem ? [element("blockquote", { className: found.kind }, found.problem)] : [];
  const rows = [...row("Question", found.question), ...row("Tile", found.tile)];
  return [title, ...said, element("dl", {}, ...rows)];
}
