/**
 * `holdfast schema`: the forms of what the tool prints as JSON.
 *
 * @module
 */

import { parseOptions, UsageError } from "../../args/parse.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { writeOut } from "../../ui/output.ts";
import { VERSION } from "../../version.ts";
import { type PublishedSchema, SCHEMAS } from "./all.ts";
import type { Schema } from "./build.ts";
import { SCHEMA_SPEC } from "./spec.ts";

/** Runs the subcommand and gives the exit code. */
export function schemaCommand(args: string[]): Promise<number> {
  const options = parseOptions(SCHEMA_SPEC, args);
  const names = [...options.operands, ...options.afterDashes ?? []];
  const [name] = names;
  if (names.length > 1) throw new UsageError(`extra operand '${names[1]}'`);
  if (name === undefined) writeOut(formatList(options.flag("json")));
  else writeOut(JSON.stringify(publish(name), undefined, 2) + "\n");
  return Promise.resolve(EXIT.OK);
}

function publish(name: string): Schema {
  const found = Object.hasOwn(SCHEMAS, name) ? SCHEMAS[name] : undefined;
  if (found === undefined) {
    throw new UsageError(`unknown schema '${name}'`, {
      unknown: name,
      candidates: Object.keys(SCHEMAS),
      hint: "holdfast schema lists them",
    });
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: `urn:holdfast:${VERSION}:${name}`,
    title: title(found),
    ...found.schema,
  };
}

function title({ of, lines }: PublishedSchema): string {
  return lines ? `a line of ${of}` : of;
}

function formatList(json: boolean): string {
  const entries = Object.entries(SCHEMAS);
  if (json) {
    const schemas = entries.map(([name, schema]) => ({
      name,
      of: title(schema),
    }));
    return JSON.stringify({ schema: 1, schemas }) + "\n";
  }
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, schema]) =>
    `${name.padEnd(width)}  ${title(schema)}\n`
  ).join("");
}
