"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function resolve(schema, spec, depth = 0) {
  if (!schema || typeof schema !== "object") return schema;
  if (depth > 6) return "…";
  if (schema.$ref) return resolve(spec.components.schemas[schema.$ref.split("/").pop()], spec, depth);
  if (schema.oneOf || schema.anyOf) {
    const shapes = (schema.oneOf || schema.anyOf).filter((one) => one.type !== "null").map((one) => resolve(one, spec, depth + 1));
    return shapes.length > 1 && shapes.some((one) => typeof one === "object") ? { "one of": shapes } : shapes[0];
  }
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return [resolve(schema.items, spec, depth + 1)];
  if (schema.properties) {
    const required = new Set(schema.required || []);
    return Object.fromEntries(Object.entries(schema.properties).map(
      ([key, value]) => [required.has(key) ? key : key + "?", resolve(value, spec, depth + 1)]));
  }
  return [].concat(schema.type || "any").join(" | ") + (schema.format ? ` (${schema.format})` : "");
}

function shape(content, spec) {
  const media = content && Object.values(content)[0];
  return media && media.schema ? JSON.stringify(resolve(media.schema, spec), null, 2) : null;
}

function show(path, method, operation, spec) {
  const body = element("div", { className: "body" });
  if (operation.description) body.append(element("p", { textContent: operation.description }));
  const parameters = (operation.parameters || []).map((one) => `${one.in} ${one.name}${one.required ? "" : "?"}`);
  if (parameters.length) body.append(element("p", { textContent: "Parameters: " + parameters.join(", ") }));
  const asked = operation.requestBody && shape(operation.requestBody.content, spec);
  if (asked) body.append(element("p", { textContent: "Body" }), element("pre", { textContent: asked }));
  for (const [status, answer] of Object.entries(operation.responses || {})) {
    if (status >= "400") continue;
    body.append(element("p", { textContent: `Answer ${status}` }));
    const given = shape(answer.content, spec);
    if (given) body.append(element("pre", { textContent: given }));
  }
  const head = element("summary", {},
    element("b", { className: `method ${method.toUpperCase()}`, textContent: method.toUpperCase() }),
    element("code", { textContent: path }),
    element("span", { textContent: operation.summary || "" }));
  const made = element("details", {}, head, body);
  made.dataset.words = `${path} ${method} ${operation.summary || ""} ${operation.description || ""}`.toLowerCase();
  return made;
}

async function operations() {
  const spec = await (await fetch("/openapi.json")).json();
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(show(path, method, item[method], spec));
    }
  }
  const main = document.getElementById("operations");
  main.replaceChildren();
  for (const tag of [...groups.keys()].sort()) {
    main.append(element("section", {}, element("h2", { textContent: tag }), ...groups.get(tag)));
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const one of main.querySelectorAll("details")) one.hidden = !one.dataset.words.includes(wanted);
    for (const group of main.querySelectorAll("section")) group.hidden = !group.querySelector("details:not([hidden])");
  });
}

async function who() {
  const answer = await fetch("/api/v1/auth/me");
  const me = answer.ok ? await answer.json() : null;
  document.getElementById("who").textContent = me
    ? `signed in as ${me.username} (${me.role})`
    : "not signed in: “shoal user link admin” prints a link that does it";
}

operations();
who();
