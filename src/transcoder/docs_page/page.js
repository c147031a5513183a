"use strict";

const root = document.documentElement.dataset;
const base = new URL(root.base, location.href).href.replace(/\/$/, "");
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
let api;

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};

const resolved = (part) => {
  for (let hops = 0; part && part.$ref && hops < 10; hops += 1) {
    part = part.$ref.slice(2).split("/").reduce((inside, name) => {
      const key = decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~");
      return inside?.[key];
    }, api);
  }
  return part ?? {};
};

const described = (text) =>
  text ? element("p", {className: "description", textContent: text}) : null;

const printed = (value) =>
  typeof value === "string" ? value : JSON.stringify(value, null, 2);

const example = (schema) => {
  const found = resolved(schema);
  if (found.examples?.length) return found.examples[0];
  if (found.default !== undefined) return found.default;
  if (found.enum?.length) return found.enum[0];
  if (found.type === "array") return [];
  if (found.type === "object") return {};
  return undefined;
};

const typed = (schema) => {
  const found = resolved(schema);
  const type = [found.type ?? "any"].flat().join(" or ");
  return found.format ? `${type} (${found.format})` : type;
};

// A schema that holds itself is unfolded as far as a reader asks.
const unfolded = (title, schema) => {
  const inside = element("div");
  const whole = element("details", {}, element("summary", {textContent: title}), inside);
  whole.addEventListener("toggle", () => {
    if (whole.open && !inside.firstChild) inside.append(...members(schema));
  });
  return whole;
};

const members = (schema) => {
  const found = resolved(schema);
  const parts = [described(found.description)];
  if (found.enum) {
    parts.push(element("p", {}, element("code", {textContent: found.enum.join(" | ")})));
  }
  const required = new Set(found.required);
  for (const [name, property] of Object.entries(found.properties ?? {})) {
    const mark = required.has(name) ? ", required" : "";
    parts.push(unfolded(`${name}: ${typed(property)}${mark}`, property));
  }
  if (found.items) parts.push(unfolded(`each: ${typed(found.items)}`, found.items));
  if (typeof found.additionalProperties === "object") {
    const value = found.additionalProperties;
    parts.push(unfolded(`each value: ${typed(value)}`, value));
  }
  for (const key of ["allOf", "anyOf", "oneOf"]) {
    for (const choice of found[key] ?? []) parts.push(unfolded(`${key}: ${typed(choice)}`, choice));
  }
  const source = element("pre", {textContent: printed(found)});
  const raw = element("details", {}, element("summary", {textContent: "JSON Schema"}), source);
  return [...parts.filter(Boolean), raw];
};

const control = (parameter) => {
  const schema = resolved(parameter.schema);
  const choices = schema.type === "boolean" ? ["true", "false"] : schema.enum;
  if (choices) {
    const options = ["", ...choices].map((value) => element("option", {textContent: value}));
    return element("select", {name: parameter.name}, ...options);
  }
  if (schema.type === "array") {
    const placeholder = "one per line";
    return element("textarea", {name: parameter.name, className: "short", placeholder});
  }
  const placeholder = parameter.style === "deepObject" ? '{"key": "value"}' : typed(schema);
  return element("input", {name: parameter.name, placeholder});
};

const asked = (parameter) => {
  const input = control(parameter);
  input.required = parameter.in === "path";
  const name = element("span", {textContent: `${parameter.name} (${parameter.in})`});
  if (parameter.required) name.className = "required";
  const label = element("label", {className: "field"}, name, input);
  label.append(described(parameter.description) ?? "");
  return {parameter, input, label};
};

const added = (query, parameter, value) => {
  const schema = resolved(parameter.schema);
  if (parameter.style === "deepObject") {
    for (const [key, each] of Object.entries(JSON.parse(value))) {
      query.append(`${parameter.name}[${key}]`, each);
    }
  } else if (schema.type === "array") {
    for (const each of value.split("\n").filter(Boolean)) query.append(parameter.name, each);
  } else {
    query.append(parameter.name, value);
  }
};

const target = (path, asking) => {
  const query = new URLSearchParams();
  const headers = new Headers();
  let filled = path;
  for (const {parameter, input} of asking) {
    const value = input.value;
    if (parameter.in === "path") {
      const parts = parameter["x-multi-segment"] ? value.split("/") : [value];
      const text = parts.map(encodeURIComponent).join("/");
      filled = filled.replaceAll(`{${parameter.name}}`, () => text);
    } else if (value !== "" && parameter.in === "query") {
      added(query, parameter, value);
    } else if (value !== "" && parameter.in === "header") {
      headers.set(parameter.name, value);
    }
  }
  const text = query.toString();
  return [`${base}${filled}${text ? `?${text}` : ""}`, headers];
};

const pretty = (text, type) => {
  if (!/^application\/(.*\+)?json\b/.test(type)) return text;
  try { return printed(JSON.parse(text)); } catch { return text; }
};

const shown = async (response, output) => {
  const type = response.headers.get("content-type") ?? "";
  const status = element("p", {
    className: response.ok ? "status" : "status failed",
    textContent: `${response.status} ${response.statusText} ${type}`,
  });
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const body = element("pre", {className: "body"});
  const all = element("details", {}, element("summary", {textContent: "Headers"}),
    element("pre", {textContent: headers}));
  output.replaceChildren(status, all, body);
  if (!/json|text|event-stream|^$/.test(type)) {
    body.textContent = `${(await response.arrayBuffer()).byteLength} bytes`;
    return;
  }
  let text = "";
  if (response.body) {
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      text += decoder.decode(piece.value, {stream: true});
      body.textContent = text;
    }
  }
  body.textContent = pretty(text, type);
};

const bodied = (requestBody) => {
  const found = resolved(requestBody);
  const types = Object.keys(found.content ?? {});
  if (!types.length) return null;
  const type = element("select", {}, ...types.map((name) => element("option", {textContent: name})));
  const text = element("textarea", {ariaLabel: "Body"});
  const fill = () => {
    const content = found.content[type.value];
    const value = /json/.test(type.value) ? content.example ?? example(content.schema) : undefined;
    text.value = value === undefined ? "" : printed(value);
  };
  type.addEventListener("change", fill);
  fill();
  const parts = element("div", {}, element("h4", {textContent: "Body"}),
    described(found.description), type, text,
    unfolded("Schema", found.content[types[0]].schema));
  return {type, text, parts};
};

const form = (path, method, operation, parameters) => {
  const asking = parameters.map(asked);
  const body = bodied(operation.requestBody);
  const output = element("output");
  const send = element("button", {textContent: "Send"});
  const stop = element("button", {type: "button", textContent: "Stop", hidden: true});
  const answers = Object.values(operation.responses ?? {}).map(resolved);
  const kinds = [...new Set(answers.flatMap((answer) => Object.keys(answer.content ?? {})))];
  const accept = element("select", {},
    ...["*/*", ...kinds.filter((kind) => kind !== "*/*")].map(
      (kind) => element("option", {textContent: kind})));
  const made = element("form", {}, ...asking.map(({label}) => label), body?.parts,
    element("p", {}, element("label", {textContent: "Accept "}, accept), " ", send, " ", stop),
    output);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const aborting = new AbortController();
    stop.hidden = false;
    stop.onclick = () => aborting.abort();
    try {
      const [url, headers] = target(path, asking);
      const secret = document.getElementById("authorization").value;
      headers.set("accept", accept.value);
      if (secret) headers.set("authorization", secret);
      const request = {method: method.toUpperCase(), headers, signal: aborting.signal};
      if (body && body.text.value) {
        request.body = body.text.value;
        headers.set("content-type", body.type.value === "*/*" ? "text/plain" : body.type.value);
      }
      await shown(await fetch(url, request), output);
    } catch (error) {
      output.append(element("p", {className: "status failed", textContent: `${error}`}));
    } finally {
      stop.hidden = true;
    }
  });
  return made;
};

const answered = (responses) => Object.entries(responses ?? {}).map(([status, response]) => {
  const found = resolved(response);
  const parts = Object.entries(found.content ?? {})
    .map(([type, content]) => unfolded(type, content.schema ?? {}));
  const title = `${status} ${found.description ?? ""}`;
  return element("details", {}, element("summary", {textContent: title}),
    element("div", {}, ...parts));
});

const shownOperation = (path, method, operation, shared) => {
  const parameters = [...shared, ...(operation.parameters ?? [])].map(resolved);
  const inside = element("div");
  const summary = element("summary", {},
    element("span", {className: "method", textContent: method.toUpperCase()}),
    element("span", {className: "path", textContent: path}),
    element("span", {className: "summary", textContent: operation.summary ?? ""}));
  const whole = element("details", {id: operation.operationId ?? ""}, summary, inside);
  if (operation.deprecated) whole.className = "deprecated";
  whole.dataset.text = `${method} ${path} ${operation.summary ?? ""}`.toLowerCase();
  const open = () => {
    if (!whole.open || inside.firstChild) return;
    inside.append(described(operation.description) ?? "",
      form(path, method, operation, parameters),
      element("h4", {textContent: "Answers"}), ...answered(operation.responses));
  };
  whole.addEventListener("toggle", open);
  return whole;
};

const filled = () => {
  const {title, version, description} = api.info;
  document.title = title;
  document.querySelector("h1").replaceChildren(
    title, " ", element("small", {textContent: version}));
  document.getElementById("about").textContent = description ?? "";
  const sections = new Map();
  const section = (name) => {
    if (!sections.has(name)) {
      const tag = (api.tags ?? []).find((each) => each.name === name) ?? {};
      sections.set(name, element("section", {}, element("h2", {textContent: name}),
        described(tag.description)));
    }
    return sections.get(name);
  };
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const operation = item[method];
      section(operation.tags?.[0] ?? "Others").append(
        shownOperation(path, method, operation, item.parameters ?? []));
    }
  }
  const main = document.getElementById("operations");
  main.replaceChildren(...sections.values());
  main.ariaBusy = "false";
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named) Object.assign(named, {open: true}).scrollIntoView();
};

document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const one of document.querySelectorAll("section > details")) {
    one.hidden = !words.every((word) => one.dataset.text.includes(word));
  }
});

fetch(root.document).then((response) => {
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.json();
}).then((found) => { api = found; filled(); }).catch((error) => {
  document.getElementById("operations").textContent = `There is no API to show: ${error.message}`;
});
