import { assertEquals } from "@std/assert";
import { SCHEMAS } from "../../cli/commands/schema/all.ts";

/**
 * A validator for as much of JSON Schema as `holdfast schema` uses. It is
 * stricter: an object may have no keys that its schema doesn't name.
 */

type Schema = Readonly<Record<string, unknown>>;

const KNOWN = new Set([
  "$schema",
  "$id",
  "title",
  "description",
  "format",
  "type",
  "enum",
  "const",
  "pattern",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "anyOf",
]);

/** What is wrong with a value, one sentence each; none when it is valid. */
export function findFaults(
  schema: Schema,
  value: unknown,
  path = "$",
): string[] {
  const unknown = Object.keys(schema).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw new Error(`${unknown} isn't understood`);
  const { anyOf, type, enum: words, pattern, format } = schema;
  if (Array.isArray(anyOf)) {
    const tries = (anyOf as Schema[])
      .map((form) => findFaults(form, value, path));
    if (tries.some((faults) => faults.length === 0)) return [];
    const nearest = tries.toSorted((a, b) => a.length - b.length)[0]!;
    return [`${path}: none of ${tries.length} forms fits`, ...nearest];
  }
  const faults: string[] = [];
  const fault = (what: string) => faults.push(`${path}: ${what}`);
  const types = type === undefined ? undefined : [type].flat() as string[];
  if (types !== undefined && !types.some((name) => isOf(name, value))) {
    return [`${path}: ${JSON.stringify(value)} is no ${types.join(" or ")}`];
  }
  if ("const" in schema && value !== schema.const) fault(`not ${schema.const}`);
  if (Array.isArray(words) && !words.includes(value)) {
    fault(`${JSON.stringify(value)} is none of ${words}`);
  }
  if (typeof value === "string") {
    if (typeof pattern === "string" && !new RegExp(pattern).test(value)) {
      fault(`"${value}" doesn't match ${pattern}`);
    }
    if (format === "date-time" && Number.isNaN(Date.parse(value))) {
      fault(`"${value}" is no time`);
    }
  }
  if (Array.isArray(value) && schema.items !== undefined) {
    value.forEach((item, at) =>
      faults.push(...findFaults(schema.items as Schema, item, `${path}[${at}]`))
    );
  }
  if (isOf("object", value)) {
    faults.push(...objectFaults(schema, value as Schema, path));
  }
  return faults;
}

function objectFaults(schema: Schema, value: Schema, path: string): string[] {
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  const rest = schema.additionalProperties as Schema | undefined;
  const missing = ((schema.required ?? []) as string[])
    .filter((key) => !Object.hasOwn(value, key))
    .map((key) => `${path}: ${key} is missing`);
  const others = Object.entries(value).flatMap(([key, item]) => {
    const own = Object.hasOwn(properties, key) ? properties[key] : rest;
    return own === undefined
      ? [`${path}: ${key} isn't in the schema`]
      : findFaults(own, item, `${path}.${key}`);
  });
  return [...missing, ...others];
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    case "object":
      return typeof value === "object" && value !== null &&
        !Array.isArray(value);
    default: {
      const name: string = typeof value;
      return name === type;
    }
  }
}

/** Asserts that what was printed is of the form that is published. */
export function assertForm(name: string, printed: string): void {
  const { schema, lines } = SCHEMAS[name]!;
  const texts = lines ? printed.trimEnd().split("\n") : [printed];
  for (const text of texts) {
    assertEquals(findFaults(schema, JSON.parse(text)), [], `${name}: ${text}`);
  }
}
