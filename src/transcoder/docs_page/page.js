const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

const answered = (responses) => Object.entries(responses ?? {}).map(([status, response]) => {
  const found = resolved(response);
  const summary = element("summary", {}, code(status, "name"), " ", inline(found.description ?? ""));
  const contents = () => Object.entries(found.content ?? {}).map(([type, content]) =>
    unfolded(type, () => bodySchema(content)));
  const headers = () => Object.entries(found.headers ?? {}).map(([name, header]) => {
    const {schema, description, required} = resolved(header);
    return row(`${name}`, {...schema, description}, required);
  });
  return unfolded(summary, () => [...contents(), ...headers()]);
});

const needed = (operation) => {
  const security = operation.security ?? api.security ?? [];
  const ways = security.map((way) => Object.entries(way).map(([name, scopes]) =>
    scopes.length ? `${name} (${scopes.join(", ")})` : name).join(" and ") || "nothing");
  return ways.length ? element("p", {className: "needs"}, small(`Needs ${ways.join(", or ")}.`)) : null;
};

const shownOperation = (path, method, operation, shared) => {
  const parameters = [...shared, ...(operation.parameters ?? [])].map(resolved);
  const summary = element("summary", {},
    element("span", {className: `method ${method.toLowerCase()}`, textContent: method.toUpperCase()}),
    " ", element("span", {className: "path", textContent: path}),
    " ", element("span", {className: "summary"}, inline(operation.summary ?? "")));
  // What any method may ask for, is asked for by a usual one.
  const used = method !== "*" ? method : operation.requestBody ? "post" : "get";
  const whole = unfolded(summary, () => [
    operation.deprecated ? element("p", {}, small("Deprecated.")) : null,
    prose(operation.description),
    needed(operation),
    operation["x-websocket"] ? element("p", {}, small("Answers WebSockets, too.")) : null,
    form(path, used, operation, parameters),
    element("h3", {textContent: "Answers"}),
    ...answered(operation.responses),
  ], operation.deprecated ? "operation deprecated" : "operation");
  whole.id = operation.operationId ?? "";
  whole.dataset.text = `${method} ${path} ${operation.summary ?? ""}`.toLowerCase();
  return whole;
};

const operations = (item) => [
  ...METHODS.filter((name) => item[name]).map((name) => [name, item[name]]),
  ...Object.entries(item["x-additional-operations"] ?? {}).map(
    ([name, operation]) => [name.split(" ")[0], operation]),
];

const filled = () => {
  const {title, version, description} = api.info;
  document.title = title;
  document.querySelector("h1").replaceChildren(title, " ", small(version));
  document.getElementById("about").replaceChildren(...[prose(description)].filter(Boolean));
  const schemes = Object.entries(api.components?.securitySchemes ?? {});
  const given = schemes.length ? schemes : [["Authorization", {type: "http", scheme: "bearer"}]];
  document.getElementById("credentials").replaceChildren(
    ...given.flatMap(([name, scheme]) => credential(name, scheme)));
  const sections = new Map();
  const section = (name) => {
    if (!sections.has(name)) {
      const tag = (api.tags ?? []).find((each) => each.name === name) ?? {};
      sections.set(name, element("section", {}, element("h2", {textContent: name}),
        prose(tag.description)));
    }
    return sections.get(name);
  };
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, operation] of operations(item)) {
      section(operation.tags?.[0] ?? "Others").append(
        shownOperation(path, method, operation, item.parameters ?? []));
    }
  }
  const main = document.getElementById("operations");
  main.replaceChildren(...sections.values());
  if (!sections.size) main.textContent = "There are no operations.";
  main.ariaBusy = "false";
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named) Object.assign(named, {open: true}).scrollIntoView();
};

document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const section of document.querySelectorAll("section")) {
    const all = [...section.querySelectorAll(":scope > details")];
    for (const one of all) one.hidden = !words.every((word) => one.dataset.text.includes(word));
    section.hidden = all.every((one) => one.hidden);
  }
});

fetch(root.document).then((response) => {
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.json();
}).then((found) => { api = found; filled(); }).catch((error) => {
  document.getElementById("operations").textContent = `There is no API to show: ${error.message}`;
});
