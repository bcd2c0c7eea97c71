// A GraphQL explorer that needs nothing but this server: editor, variables, schema, history.
"use strict";

const $ = (id) => document.getElementById(id);
const HISTORY = "faultline.graphql.history";
const TOKEN = "faultline.token";
const KEPT = 30;
let types = new Map();
let roots = [];
let trail = [];

const INTROSPECTION = `query Introspection {
  __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types {
      kind name description
      fields(includeDeprecated: true) {
        name description isDeprecated deprecationReason
        args { name description defaultValue type { ...ref } } type { ...ref }
      }
      inputFields { name description defaultValue type { ...ref } }
      enumValues(includeDeprecated: true) { name description }
      possibleTypes { name } interfaces { name }
    }
  }
}
fragment ref on __Type {
  kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } }
}`;

async function ask(query, variables, operationName) {
  const headers = { "content-type": "application/json" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  const body = JSON.stringify({ query, variables, operationName });
  const response = await fetch("/graphql", { method: "POST", headers, body });
  const answer = await response.json();
  if (response.status === 401) askForToken(answer.error.message);
  return answer;
}

// The session's storage ends with the tab and is no other origin's: a token is not left behind.
function askForToken(why) {
  if (why) $("token-why").textContent = why;
  $("token-text").value = sessionStorage.getItem(TOKEN) ?? "";
  if (!$("token-dialog").open) $("token-dialog").showModal();
  $("token-text").select();
}

function useToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
  $("token-dialog").close();
  load();
}

function state(text, bad = false) {
  $("state").textContent = text;
  $("state").className = bad ? "bad" : "";
}

// The operation under the cursor runs, when a document holds several with names.
function operationAtCursor(query, cursor) {
  const named = [...query.matchAll(/\b(?:query|mutation|subscription)\s+([A-Za-z_]\w*)/g)];
  if (named.length < 2) return undefined;
  return (named.filter((match) => match.index <= cursor).pop() ?? named[0])[1];
}

async function run() {
  const query = $("query").value;
  let variables = {};
  try {
    variables = JSON.parse($("variables").value.trim() || "{}");
  } catch (error) {
    state(`variables: ${error.message}`, true);
    return;
  }
  state("asking…");
  const started = performance.now();
  try {
    const answer = await ask(query, variables, operationAtCursor(query, $("query").selectionStart));
    $("response").textContent = JSON.stringify(answer, null, 2);
    const failed = Boolean(answer.errors || answer.error);
    state(`${failed ? "answered with errors" : "answered"} in ${Math.round(performance.now() - started)} ms`, failed);
    remember(query);
  } catch (error) {
    state(`the server did not answer: ${error.message}`, true);
  }
}

function remembered() {
  try {
    const list = JSON.parse(localStorage.getItem(HISTORY) ?? "[]");
    return Array.isArray(list) ? list.filter((query) => typeof query === "string") : [];
  } catch {
    return [];
  }
}

function remember(query) {
  const list = [query, ...remembered().filter((past) => past !== query)].slice(0, KEPT);
  try {
    localStorage.setItem(HISTORY, JSON.stringify(list));
  } catch {
    // A full or forbidden storage costs the history, not the answer.
  }
  offerHistory();
}

function offerHistory() {
  const options = remembered().map((query) => new Option(query.replace(/\s+/g, " ").slice(0, 60), query));
  $("history").replaceChildren(new Option("History…", ""), ...options);
}

// Indents by braces; strings and comments are left as they are.
function formatted(query) {
  const tokens = query.match(/"""[\s\S]*?"""|"(?:\\.|[^"\\])*"|#[^\n]*|[{}]|\n|[^\s{}"#]+|[^\S\n]+/g) ?? [];
  let depth = 0;
  let line = "";
  const lines = [];
  const flush = () => {
    if (line.trim()) lines.push("  ".repeat(depth) + line.trim());
    line = "";
  };
  // Braces inside parentheses are input objects and stay in their line.
  let nested = 0;
  for (const token of tokens) {
    if (!/^["#]/.test(token)) {
      nested += (token.match(/\(/g) ?? []).length - (token.match(/\)/g) ?? []).length;
    }
    if (nested > 0 || !/^[{}\n#]/.test(token)) line += /^\s+$/.test(token) ? " " : token;
    else if (token === "{") { line += "{"; flush(); depth += 1; }
    else if (token === "}") { flush(); depth = Math.max(0, depth - 1); line = "}"; flush(); }
    else if (token === "\n") flush();
    else { line += token; flush(); }
  }
  flush();
  return lines.join("\n") + "\n";
}

function typeName(type) {
  if (type.kind === "NON_NULL") return `${typeName(type.ofType)}!`;
  if (type.kind === "LIST") return `[${typeName(type.ofType)}]`;
  return type.name;
}

function innermost(type) {
  return type.ofType ? innermost(type.ofType) : type.name;
}

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function linkTo(name, text) {
  const button = element("button", "", text);
  button.type = "button";
  button.addEventListener("click", () => show([...trail, name]));
  return button;
}

function fieldEntry(field) {
  const entry = element("div", "field", field.name);
  if (field.args?.length) {
    entry.append("(");
    field.args.forEach((arg, index) => {
      entry.append(index ? ", " : "", `${arg.name}: `, linkTo(innermost(arg.type), typeName(arg.type)));
      if (arg.defaultValue) entry.append(` = ${arg.defaultValue}`);
    });
    entry.append(")");
  }
  if (field.type) entry.append(": ", linkTo(innermost(field.type), typeName(field.type)));
  if (field.isDeprecated) entry.append(` (deprecated: ${field.deprecationReason ?? ""})`);
  if (field.description) entry.append(element("p", "", field.description));
  return entry;
}

function show(next) {
  trail = next.slice(-8);
  const steps = trail.map((name, index) => {
    const button = element("button", "", name);
    button.type = "button";
    button.addEventListener("click", () => show(trail.slice(0, index + 1)));
    return button;
  });
  const home = element("button", "", "Schema");
  home.type = "button";
  home.addEventListener("click", () => show([]));
  $("trail").replaceChildren(...[home, ...steps].flatMap((step, index) => (index ? [" › ", step] : [step])));
  const type = types.get(trail.at(-1));
  if (!type) {
    const all = [...types.keys()].filter((name) => !name.startsWith("__") && !roots.includes(name)).sort();
    $("docs").replaceChildren(
      ...[...roots, ...all].map((name) => element("div", "field", linkTo(name, name))),
    );
    return;
  }
  const parts = [element("h2", "", type.name)];
  if (type.description) parts.push(element("p", "", type.description));
  for (const field of [...(type.fields ?? []), ...(type.inputFields ?? []), ...(type.enumValues ?? [])]) {
    parts.push(fieldEntry(field));
  }
  for (const possible of type.possibleTypes ?? []) {
    parts.push(element("div", "field", linkTo(possible.name, possible.name)));
  }
  $("docs").replaceChildren(...parts);
}

function search(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return show(trail);
  const found = [];
  for (const type of types.values()) {
    if (type.name.startsWith("__")) continue;
    if (type.name.toLowerCase().includes(wanted)) found.push(element("div", "field", linkTo(type.name, type.name)));
    for (const field of type.fields ?? []) {
      if (field.name.toLowerCase().includes(wanted)) {
        found.push(element("div", "field", linkTo(type.name, type.name), ".", field.name));
      }
    }
  }
  $("docs").replaceChildren(...(found.length ? found.slice(0, 200) : [element("p", "", "Nothing found.")]));
}

// Examples are one document: a comment with the question, then the operation.
async function loadExamples() {
  const text = await (await fetch("/assets/examples.graphql")).text();
  const examples = text.split(/\n(?=# )/).map((part) => {
    const [question, ...query] = part.trim().split("\n");
    return { question: question.replace(/^# /, ""), query: `${query.join("\n")}\n` };
  });
  $("examples").append(...examples.map((each) => new Option(each.question, each.query)));
  $("examples").addEventListener("change", (event) => {
    if (event.target.value) setQuery(event.target.value);
    event.target.value = "";
  });
  if (!$("query").value) setQuery(examples[0].query);
}

function setQuery(query) {
  $("query").value = query;
  const declared = [...query.matchAll(/\$(\w+):\s*\w+!/g)].map((match) => [match[1], ""]);
  if (declared.length && !$("variables").value.trim()) {
    $("variables").value = JSON.stringify(Object.fromEntries(declared), null, 2);
  }
}

async function loadSchema() {
  const answer = await ask(INTROSPECTION);
  if (!answer.data) throw new Error(answer.errors?.[0]?.message ?? answer.error?.message ?? "no schema");
  const schema = answer.data.__schema;
  types = new Map(schema.types.map((type) => [type.name, type]));
  roots = [schema.queryType, schema.mutationType, schema.subscriptionType].filter(Boolean).map((type) => type.name);
  show(roots.slice(0, 1));
  state("ready");
}

function typed(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
}

function load() {
  loadSchema().catch((error) => state(`the schema did not load: ${error.message}`, true));
}

$("run").addEventListener("click", run);
$("token").addEventListener("click", () => askForToken());
$("token-use").addEventListener("click", () => useToken($("token-text").value.trim()));
$("token-forget").addEventListener("click", () => useToken(""));
$("token-close").addEventListener("click", () => $("token-dialog").close());
$("token-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter") useToken($("token-text").value.trim());
});
$("format").addEventListener("click", () => { $("query").value = formatted($("query").value); });
$("query").addEventListener("keydown", typed);
$("variables").addEventListener("keydown", typed);
$("search").addEventListener("input", (event) => search(event.target.value));
$("history").addEventListener("change", (event) => {
  if (event.target.value) setQuery(event.target.value);
  event.target.value = "";
});
$("query").value = new URLSearchParams(location.search).get("query") ?? remembered()[0] ?? "";
offerHistory();
loadExamples()
  .then(load)
  .catch((error) => state(`the page did not load: ${error.message}`, true));
