const URLENCODED = "application/x-www-form-urlencoded";
const MULTIPART = "multipart/form-data";
const RAW = /\bgoogle\.api\.HttpBody(-\w+)?$/;
const INSIDE = 3;

const isMap = (found) => typeof found.additionalProperties === "object" && !found.properties;
const isAnyList = (found) => found.type === "array" && !Object.keys(found.items ?? {}).length;
const isFile = (schema) =>
  RAW.test(schema.$ref ?? "") || resolved(schema).contentEncoding === "base64";

const part = (parameter, input, append, words) => ({...asked(parameter, input), append, words});

const textPart = (parameter) => {
  const input = control(parameter);
  const append = (form) => added(form, parameter, input.value);
  const words = () => {
    const pairs = new URLSearchParams();
    append(pairs);
    return [...pairs].map(([name, value]) => `--form-string ${quoted(`${name}=${value}`)}`);
  };
  return part(parameter, input, append, words);
};

const filePart = (parameter, multiple) => {
  const {name} = parameter;
  const input = element("input", {type: "file", name, multiple});
  const append = (form) => { for (const file of input.files) form.append(name, file); };
  const word = (file) => `${name}=@"${file.name}"${file.type ? `;type=${file.type}` : ""}`;
  const words = () => [...input.files].map((file) => `-F ${quoted(word(file))}`);
  // The limits of a text of base64 are not those of what it stands for.
  return part({...parameter, schema: {}}, input, append, words);
};

const jsonPart = (parameter) => {
  const {name} = parameter;
  const input = element("textarea",
    {name, className: "short", placeholder: "JSON", spellcheck: false});
  const append = (form) => form.append(name, new Blob([input.value], {type: "application/json"}));
  const words = () => {
    const text = input.value.replace(/\s*\n\s*/g, " ").replace(/["\\]/g, "\\$&");
    return [`-F ${quoted(`${name}="${text}";type=application/json`)}`];
  };
  return part(parameter, input, append, words);
};

// As a query has them: the fields of messages by their paths, and of lists and maps those of texts.
const textFields = (schema, above = [], isNeeded = true) => {
  const found = resolved(schema);
  return Object.entries(found.properties ?? {}).flatMap(([name, inside]) => {
    const path = [...above, name];
    const required = isNeeded && found.required?.includes(name);
    const parameter = formField(path.join("."), inside, required);
    const whole = parameter.schema;
    const {properties} = resolved(held(inside));
    if (whole.readOnly || properties?.["@type"]) return [];
    if (!properties) return [textPart(parameter)];
    const isList = whole.type === "array" || isMap(whole);
    return isList || path.length > INSIDE ? [] : textFields(inside, path, required);
  });
};

// A part each: bytes are files, and messages JSON.
const partFields = (schema) => {
  const found = resolved(schema);
  return Object.entries(found.properties ?? {}).flatMap(([name, inside]) => {
    const parameter = formField(name, inside, found.required?.includes(name));
    const whole = parameter.schema;
    if (whole.readOnly) return [];
    if (isFile(held(inside)) && !isMap(whole)) return [filePart(parameter, whole.type === "array")];
    return [resolved(held(inside)).properties ? jsonPart(parameter) : textPart(parameter)];
  });
};

const formField = (name, inside, required) => {
  const {$ref, ...whole} = {...resolved(inside), ...inside};
  // A list of any values is one text of JSON.
  const schema = isAnyList(whole) ? {} : whole;
  const style = isMap(whole) ? "deepObject" : undefined;
  return {name, in: "form", required, schema, style, description: inside.description};
};

const formed = (type, schema) => {
  const isParts = type === MULTIPART;
  const fields = isParts ? partFields(schema) : textFields(schema);
  const sent = () => {
    const body = isParts ? new FormData() : new URLSearchParams();
    const filled = fields.filter(({input}) => input.value !== "");
    for (const {append} of filled) append(body);
    const parts = filled.flatMap(({words}) => words());
    return {body, words: isParts ? parts : [`--data-binary ${quoted(`${body}`)}`]};
  };
  return {sent, shown: [...rivals(resolved(schema)), ...fields.map(({label}) => label)]};
};
