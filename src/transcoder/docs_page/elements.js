"use strict";

const root = document.documentElement.dataset;
const base = new URL(root.base, location.href).href.replace(/\/$/, "");
let api;

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
};

const code = (text, className = "") => element("code", {textContent: text, className});
const small = (text, className = "") => element("small", {textContent: text, className});

const resolved = (part) => {
  for (let hops = 0; part && part.$ref && hops < 10; hops += 1) {
    part = part.$ref.slice(2).split("/").reduce((inside, name) => {
      const key = decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~");
      return inside?.[key];
    }, api);
  }
  return part ?? {};
};

const inline = (text) => text.split(/(`[^`]+`)/).filter(Boolean).map((part) =>
  /^`[^`]+`$/.test(part) ? code(part.slice(1, -1)) : part);

const joined = (text) => inline(text.replace(/\s*\n\s*/g, " "));

// Comments are Markdown; paragraphs, lists and code are what they have.
const prose = (text) => {
  if (!text) return null;
  const blocks = text.split(/\n{2,}/).map((block) => {
    if (/^( {4}.*\n?)+$/.test(block)) return element("pre", {textContent: block});
    if (!block.startsWith("- ")) return element("p", {}, joined(block));
    const items = block.slice(2).split(/\n- /);
    return element("ul", {}, items.map((item) => element("li", {}, joined(item))));
  });
  return element("div", {className: "prose"}, blocks);
};

const printed = (value) =>
  typeof value === "string" ? value : JSON.stringify(value, null, 2);

// What is unfolded is made when a reader asks: a schema may hold itself.
const unfolded = (summary, make, className = "") => {
  const inside = element("div");
  const title = typeof summary === "string" ? element("summary", {textContent: summary}) : summary;
  const whole = element("details", {className}, title, inside);
  whole.addEventListener("toggle", () => {
    if (whole.open && !inside.firstChild) inside.append(...[make()].flat().filter(Boolean));
  });
  return whole;
};
