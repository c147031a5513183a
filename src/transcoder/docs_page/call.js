const TEXT = /json|text|xml|javascript|event-stream|^$/;
const KEPT = 1 << 20;

const example = (schema) => {
  const found = resolved(schema);
  if (found.examples?.length) return found.examples[0];
  if (found.default !== undefined) return found.default;
  if (found.enum?.length) return found.enum[0];
  if (found.type === "array") {
    const item = example(found.items ?? {});
    return item === undefined ? [] : [item];
  }
  return found.type === "object" ? {} : undefined;
};

const credentials = [];

const credential = (name, scheme) => {
  const where = scheme.type === "apiKey" ? scheme.in : "header";
  if (scheme.type === "mutualTLS" || where === "cookie") return [];
  const isBasic = scheme.type === "http" && scheme.scheme === "basic";
  const placeholder = {apiKey: scheme.name}[scheme.type] ?? (isBasic ? "name:password" : "token");
  const input = element("input", {placeholder, autocomplete: "off", spellcheck: false});
  const give = (headers, query) => {
    const secret = input.value.trim();
    if (!secret) return;
    if (where === "query") query.append(scheme.name, secret);
    else if (scheme.type === "apiKey") headers.set(scheme.name, secret);
    else if (isBasic) {
      const bytes = String.fromCharCode(...new TextEncoder().encode(secret));
      headers.set("authorization", `Basic ${btoa(bytes)}`);
    } else headers.set("authorization", /\s/.test(secret) ? secret : `Bearer ${secret}`);
  };
  credentials.push(give);
  return [element("label", {}, name, " ", input)];
};

const control = (parameter) => {
  const schema = resolved(parameter.schema);
  const choices = schema.type === "boolean" ? ["true", "false"] : schema.enum;
  const {name} = parameter;
  if (choices) {
    const options = ["", ...choices].map((value) => element("option", {textContent: value}));
    return element("select", {name}, options);
  }
  if (schema.type === "array") {
    return element("textarea", {name, className: "short", placeholder: "one per line"});
  }
  const deep = parameter.style === "deepObject";
  return element("input", {name, placeholder: deep ? '{"key": "value"}' : typed(schema)});
};

const asked = (parameter, input = control(parameter)) => {
  input.required = Boolean(parameter.required);
  const mark = parameter.required ? small("required", "required") : null;
  const head = element("span", {}, code(parameter.name, "name"), " ", small(parameter.in), " ", mark);
  const told = [prose(parameter.description), limits(resolved(parameter.schema))].flat();
  const more = element("div", {className: "told"}, told.filter(Boolean).flatMap((one) => [one, " "]));
  return {parameter, input, label: element("label", {className: "field"}, head, input, more)};
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
  for (const give of credentials) give(headers, query);
  const text = query.toString();
  return [`${base}${filled}${text ? `?${text}` : ""}`, headers];
};

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const curl = (url, method, headers, words) => [
  `curl -X ${method} ${quoted(url)}`,
  ...[...headers].map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
  ...words,
].join(" \\\n  ");

const pretty = (text, type) => {
  if (!/^application\/(.*\+)?json\b/.test(type)) return text;
  try { return printed(JSON.parse(text)); } catch { return text; }
};

const imaged = (blob) => new Promise((done) => {
  const reader = new FileReader();
  reader.onload = () => done(element("img", {src: reader.result, alt: `${blob.size} bytes`}));
  reader.readAsDataURL(blob);
});

// Pieces are shown as they come; of a long stream, its end.
const streamed = async (response, body) => {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const more = decoder.decode(piece.value, {stream: true});
    text += more;
    body.append(more);
    if (text.length > 2 * KEPT) body.textContent = text = text.slice(-KEPT);
  }
  return text;
};

const shown = async (response, output, sent) => {
  const type = response.headers.get("content-type") ?? "";
  const status = `${response.status} ${response.statusText}`;
  const className = response.ok ? "status" : "status failed";
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const body = element("pre", {className: "body"});
  output.replaceChildren(
    element("p", {className}, status, " ", small(type)),
    body,
    unfolded("Headers", () => element("pre", {textContent: headers})),
    unfolded("curl", () => element("pre", {textContent: sent})));
  if (type.startsWith("image/")) {
    body.replaceWith(element("p", {className: "body"}, await imaged(await response.blob())));
  } else if (!TEXT.test(type)) {
    body.textContent = `${(await response.arrayBuffer()).byteLength} bytes`;
  } else if (response.body) {
    body.textContent = pretty(await streamed(response, body), type);
  }
  if (!body.textContent) body.classList.add("empty");
};

const bodied = (requestBody) => {
  const found = resolved(requestBody);
  const types = Object.keys(found.content ?? {});
  if (!types.length) return null;
  const type = element("select", {ariaLabel: "Content-Type"},
    types.map((name) => element("option", {textContent: name})));
  const text = element("textarea", {ariaLabel: "Body", spellcheck: false});
  const file = element("input", {type: "file", ariaLabel: "File"});
  const schema = element("div");
  const fields = element("div");
  let form;
  const fill = () => {
    const content = found.content[type.value];
    const isForm = [URLENCODED, MULTIPART].includes(type.value);
    const isText = TEXT.test(type.value);
    form = isForm ? formed(type.value, content.schema) : null;
    fields.replaceChildren(...(form?.shown ?? []));
    const given = content["x-item-schema"] ?? content.schema;
    const value = isText ? content.example ?? example(given) : undefined;
    const lines = content["x-item-schema"] && value !== undefined ? JSON.stringify(value) : value;
    text.value = lines === undefined ? "" : printed(lines);
    text.rows = Math.min(Math.max(text.value.split("\n").length, 3), 24);
    text.hidden = !isText && type.value !== "*/*";
    file.hidden = isText || isForm;
    schema.replaceChildren(unfolded("Schema", () => bodySchema(content)));
  };
  type.addEventListener("change", fill);
  fill();
  const mark = found.required ? small("required", "required") : null;
  const head = element("p", {className: "head"}, element("strong", {textContent: "Body"}), " ", type,
    " ", file, " ", mark);
  const sent = () => {
    // What is behind a form is said by the browser, with the boundary of its parts.
    if (form) return form.sent();
    const chosen = file.hidden ? undefined : file.files[0];
    const media = chosen?.type || (type.value === "*/*" ? "application/octet-stream" : type.value);
    if (chosen) return {media, body: chosen, words: [`--data-binary @${quoted(chosen.name)}`]};
    const body = text.value || undefined;
    return {media, body, words: body ? [`--data-binary ${quoted(body)}`] : []};
  };
  return {sent, parts: [head, prose(found.description), text, fields, schema]};
};

const form = (path, method, operation, parameters) => {
  const asking = parameters.map((parameter) => asked(parameter));
  const body = bodied(operation.requestBody);
  const output = element("output");
  const send = element("button", {textContent: "Send", className: "send"});
  const stop = element("button", {type: "button", textContent: "Stop", hidden: true});
  const answers = Object.values(operation.responses ?? {}).map(resolved);
  const kinds = [...new Set(answers.flatMap((answer) => Object.keys(answer.content ?? {})))];
  const accept = element("select", {},
    ["*/*", ...kinds.filter((kind) => kind !== "*/*")].map(
      (kind) => element("option", {textContent: kind})));
  const isSystem = ({parameter}) => parameter.name.startsWith("$");
  const system = asking.filter(isSystem).map(({label}) => label);
  const made = element("form", {},
    asking.filter((one) => !isSystem(one)).map(({label}) => label), body?.parts,
    system.length ? element("details", {className: "more"},
      element("summary", {textContent: "System parameters"}), system) : null,
    element("p", {className: "head"}, send, " ", stop, " ",
      element("label", {}, "Accept ", accept)),
    output);
  const call = async (signal) => {
    const [url, headers] = target(path, asking);
    headers.set("accept", accept.value);
    const {media, words, ...sent} = body?.sent() ?? {words: []};
    if (sent.body !== undefined && media) headers.set("content-type", media);
    const request = {method: method.toUpperCase(), headers, signal, ...sent};
    output.replaceChildren(element("p", {className: "status", textContent: "…"}));
    const told = curl(url, request.method, headers, words);
    await shown(await fetch(url, request), output, told);
  };
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const aborting = new AbortController();
    [send.disabled, stop.hidden] = [true, false];
    stop.onclick = () => aborting.abort();
    try {
      await call(aborting.signal);
    } catch (error) {
      const told = aborting.signal.aborted ? "Stopped." : `${error}`;
      output.append(element("p", {className: "status failed", textContent: told}));
    } finally {
      [send.disabled, stop.hidden] = [false, true];
    }
  });
  return made;
};
