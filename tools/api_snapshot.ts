/**
 * The public surface as text: every name that each entry exports, with its
 * signature. A test compares it with `tests/testdata/api.txt`.
 *
 * ```sh
 * deno task api:update
 * ```
 *
 * @module
 */

import { readConfig, ROOT, runDeno } from "./project.ts";

/** Where the surface is kept. */
export const SNAPSHOT_PATH = `${ROOT}/tests/testdata/api.txt`;

/** A node of what `deno doc --json` prints; its fields depend on its kind. */
// deno-lint-ignore no-explicit-any
type Node = any;

/** Reads the surface from the source. */
export async function readApi(): Promise<string> {
  const sections = await Promise.all(
    Object.entries(readConfig().exports).map(async ([entry, path]) => {
      const { nodes } = JSON.parse(await runDeno(["doc", "--json", path]));
      const { symbols } = nodes[`file://${ROOT}/${path.replace("./", "")}`];
      const lines = (symbols as Node[])
        .toSorted((a, b) => a.name < b.name ? -1 : 1)
        .flatMap(({ name, declarations }) =>
          (declarations as Node[]).map((node) => declaration(name, node))
        );
      return `## ${entry}\n\n${lines.join("\n")}\n`;
    }),
  );
  return sections.join("\n");
}

function declaration(name: string, { kind, def }: Node): string {
  switch (kind) {
    case "function":
      return `function ${name}${signature(def)}`;
    case "variable":
      return `${def.kind} ${name}: ${type(def.tsType)}`;
    case "typeAlias":
      return `type ${name}${generics(def.typeParams)} = ${type(def.tsType)}`;
    case "interface":
    case "class":
      return `${kind} ${name}${generics(def.typeParams)}${heritage(def)} {\n${
        members(def).map((member) => `  ${member}\n`).join("")
      }}`;
    case "reference":
      return `reference ${name}: ${def.target.filename.replace(ROOT, "")}`;
  }
  return `${kind} ${name} ${JSON.stringify(def)}`;
}

function heritage(def: Node): string {
  const bases = [def.extends ?? []].flat()
    .map((base: Node) => typeof base === "string" ? base : type(base));
  const contracts = (def.implements ?? []).map(type);
  return (bases.length === 0 ? "" : ` extends ${bases.join(", ")}`) +
    (contracts.length === 0 ? "" : ` implements ${contracts.join(", ")}`);
}

function members(def: Node): string[] {
  const list = (nodes: Node[] | undefined, show: (node: Node) => string) =>
    (nodes ?? []).filter(({ accessibility }) => accessibility !== "private")
      .map((node) => (node.isStatic ? "static " : "") + show(node));
  return [
    ...list(def.constructors, (node) => `constructor${signature(node)}`),
    ...list(def.indexSignatures, (node) => JSON.stringify(node)),
    ...list(def.callSignatures, signature),
    ...list(
      def.properties,
      (node) =>
        `${node.readonly ? "readonly " : ""}${node.name}${
          node.optional ? "?" : ""
        }: ${type(node.tsType)}`,
    ),
    ...list(def.methods, (node) => {
      const prefix = { getter: "get ", setter: "set " }[node.kind as string];
      const optional = node.optional ? "?" : "";
      return `${prefix ?? ""}${node.name}${optional}${
        signature(node.functionDef ?? node)
      }`;
    }),
  ];
}

function signature({ typeParams, params, returnType }: Node): string {
  const result = returnType === undefined ? "" : `: ${type(returnType)}`;
  return `${generics(typeParams)}(${
    params.map(parameter).join(", ")
  })${result}`;
}

function parameter(node: Node): string {
  switch (node.kind) {
    case "identifier":
      return `${node.name}${node.optional ? "?" : ""}: ${type(node.tsType)}`;
    case "assign":
      return parameter({ ...node.left, optional: true });
    case "rest":
      return `...${parameter({ ...node.arg, tsType: node.tsType })}`;
    case "object":
      return `{}${node.optional ? "?" : ""}: ${type(node.tsType)}`;
  }
  return JSON.stringify(node);
}

function generics(params: Node[] | undefined): string {
  if (params === undefined || params.length === 0) return "";
  const shown = params.map((node) =>
    node.name +
    (node.constraint ? ` extends ${type(node.constraint)}` : "") +
    (node.default ? ` = ${type(node.default)}` : "")
  );
  return `<${shown.join(", ")}>`;
}

function type(node: Node): string {
  if (node === undefined) return "?";
  const { kind, value } = node;
  switch (kind) {
    case "keyword":
      return value;
    case "literal":
      return value.kind === "string"
        ? JSON.stringify(value.string)
        : String(value[value.kind] ?? node.repr);
    case "typeRef":
      return value.typeName +
        (value.typeParams ? `<${value.typeParams.map(type).join(", ")}>` : "");
    case "union":
      return value.map(type).join(" | ");
    case "intersection":
      return value.map(type).join(" & ");
    case "array":
      return `${type(value)}[]`;
    case "tuple":
      return `[${value.map(type).join(", ")}]`;
    case "parenthesized":
      return `(${type(value)})`;
    case "typeOperator":
      return `${value.operator} ${type(value.tsType)}`;
    case "fnOrConstructor": {
      const { tsType, params, typeParams } = value;
      return (value.constructor ? "new " : "") +
        `${signature({ typeParams, params })} => ${type(tsType)}`;
    }
    case "indexedAccess":
      return `${type(value.objType)}[${type(value.indexType)}]`;
    case "typeLiteral":
      return `{ ${members(value).join("; ")} }`;
    case "conditional":
      return `${type(value.checkType)} extends ${type(value.extendsType)} ? ${
        type(value.trueType)
      } : ${type(value.falseType)}`;
    case "mapped": {
      const { typeParam, tsType } = value;
      const readonly = modifier(value.readonly, "readonly ");
      return `{ ${readonly}[${typeParam.name} in ${
        type(typeParam.constraint)
      }]${modifier(value.optional, "?")}: ${type(tsType)} }`;
    }
  }
  return JSON.stringify(node, (key, part) => key === "location" ? 0 : part);
}

/** A modifier of a mapped type: added, or taken away by a minus. */
function modifier(set: boolean | "+" | "-" | undefined, word: string): string {
  if (set === undefined || set === false) return "";
  return set === true ? word : set + word;
}

if (import.meta.main) {
  Deno.writeTextFileSync(SNAPSHOT_PATH, await readApi());
  console.log(SNAPSHOT_PATH);
}
