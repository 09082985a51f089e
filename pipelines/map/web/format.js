// The page's data, and numbers as people write them. Knows no map.
"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const SERVED = location.protocol.startsWith("http");

const whole = (number) => Math.round(number).toLocaleString("en");
const some = (number) => number.toLocaleString("en", { maximumSignificantDigits: 3 });

function area(m2) {
  if (m2 >= 1e6) return `${some(m2 / 1e6)} km²`;
  if (m2 >= 1e4) return `${some(m2 / 1e4)} ha`;
  return m2 >= 100 ? `${whole(m2)} m²` : `${some(m2)} m²`;
}

// An element with text and children; text never becomes markup.
function element(tag, settings = {}, ...children) {
  const made = Object.assign(document.createElement(tag), settings);
  made.append(...children);
  return made;
}
