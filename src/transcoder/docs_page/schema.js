const LIMITS = [
  "const", "default", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum",
  "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "minProperties", "maxProperties",
];
// What the format says already.
const FLOAT = 3.4028234663852886e38;
const BOUNDS = new Set([-(2 ** 31), 2 ** 31 - 1, 2 ** 32 - 1, -FLOAT, FLOAT]);

const typed = (schema) => {
  const found = resolved(schema);
  const values = found.additionalProperties;
  if (schema?.$ref && !found.enum) {
    return schema.$ref.split(/[./]/).pop().replace(/-(Request|Change)$/, "");
  }
  if (found.enum) return "enum";
  if (found.anyOf) return [...new Set(found.anyOf.map(typed))].join(" or ");
  if (found.type === "array") return `array of ${typed(found.items ?? {})}`;
  if (typeof values === "object" && !found.properties) return `map of ${typed(values)}`;
  const type = [found.type ?? "any"].flat().join(" or ");
  return found.format ? `${type} (${found.format})` : type;
};

const limits = (found) => LIMITS
  .filter((name) => found[name] !== undefined)
  .filter((name) => !BOUNDS.has(found[name]))
  .filter((name) => !(name === "minimum" && found.format === "uint32" && found.minimum === 0))
  .filter((name) => !(name === "pattern" && /^u?int64$/.test(found.format)))
  .map((name) => code(`${name}: ${printed(found[name])}`, "limit"));

const rivals = (found) => [found, ...(found.allOf ?? [])].flatMap(({oneOf}) => {
  const names = (oneOf ?? []).flatMap(({required}) => required ?? []);
  if (names.length < 2) return [];
  const most = oneOf.some(({not}) => not) ? "At most one" : "One";
  return [prose(`${most} of ${names.map((name) => `\`${name}\``).join(", ")}.`)];
});

// Lists and maps are looked through, at what they hold.
const held = (schema) => {
  const found = resolved(schema);
  const values = found.additionalProperties;
  if (found.type === "array" && found.items) return held(found.items);
  return typeof values === "object" && !found.properties ? held(values) : schema;
};

const isOpen = (found) => Boolean(found.properties || found.anyOf || found.enum);

const row = (name, schema, required) => {
  const found = resolved(schema);
  const inner = held(schema);
  const marks = [
    required ? small("required", "required") : null,
    found.readOnly ? small("read only") : null,
    found.writeOnly ? small("write only") : null,
    found.deprecated ? small("deprecated") : null,
  ];
  const parts = [name ? code(name, "name") : null, small(typed(schema), "type"), marks,
    limits(found)].flat().filter(Boolean).flatMap((part) => [part, " "]);
  const told = prose(schema.description ?? (inner === schema ? found.description : ""));
  if (!isOpen(resolved(inner))) return element("div", {className: "row"}, parts, told);
  const summary = element("summary", {}, parts, told);
  return unfolded(summary, () => members(inner, inner === schema && Boolean(told)), "row");
};

const members = (schema, isTold = false) => {
  const found = resolved(schema);
  const required = new Set(found.required);
  const properties = Object.entries(found.properties ?? {});
  return [
    isTold ? null : prose(found.description),
    found.enum ? element("p", {}, found.enum.flatMap((each) => [code(printed(each)), " "])) : null,
    rivals(found),
    properties.map(([name, inside]) => row(name, inside, required.has(name))),
    (found.anyOf ?? []).map((choice) => row("", choice, false)),
  ].flat().filter(Boolean);
};

// The schema of a whole body: what it holds, and the schema itself.
const bodySchema = (content) => {
  const {schema} = content;
  const item = content["x-item-schema"];
  const inner = held(schema ?? {});
  return [
    inner === schema ? null : element("p", {}, small(typed(schema), "type")),
    inner === schema ? null : prose(resolved(schema).description),
    members(inner),
    item ? row("each", item, false) : null,
    unfolded("JSON Schema", () => element("pre", {textContent: printed(item ?? resolved(schema))})),
  ].flat().filter(Boolean);
};
