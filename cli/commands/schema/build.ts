/**
 * JSON Schemas (2020-12), put together from small pieces.
 *
 * @module
 */

/** A schema, or a part of one. */
export interface Schema {
  readonly [key: string]: unknown;
}

/**
 * An object that has all of these keys: they never go away. Others may come.
 *
 * @param keys The schema of each.
 * @param description What it is.
 */
export function object(
  keys: Readonly<Record<string, Schema>>,
  description?: string,
): Schema {
  return {
    type: "object",
    ...(description === undefined ? {} : { description }),
    properties: keys,
    required: Object.keys(keys),
  };
}

/** A list. */
export function list(items: Schema, description?: string): Schema {
  return {
    type: "array",
    ...(description === undefined ? {} : { description }),
    items,
  };
}

/** One of several forms. */
export function either(...forms: readonly Schema[]): Schema {
  return { anyOf: forms };
}

/** What may not be known. */
export function maybe(schema: Schema): Schema {
  const { type } = schema;
  if (typeof type === "string" && schema.enum === undefined) {
    return { ...schema, type: [type, "null"] };
  }
  return { anyOf: [schema, { type: "null" }] };
}

/** A text. */
export function text(description: string): Schema {
  return { type: "string", description };
}

/** One of these words. */
export function word(...words: readonly string[]): Schema {
  return { type: "string", enum: words };
}

/** Always this. */
export function always(value: string | number | boolean): Schema {
  return { const: value };
}

/** Yes or no. */
export function flag(description: string): Schema {
  return { type: "boolean", description };
}

/** A whole number. */
export function whole(description: string): Schema {
  return { type: "integer", description };
}

/** Milliseconds, with fractions. */
export function ms(description: string): Schema {
  return { type: "number", description: `${description}, in milliseconds` };
}

/** A whole number beyond what JSON's numbers are exact for. */
export function digits(description: string): Schema {
  return {
    type: "string",
    pattern: "^[0-9]+$",
    description: `${description}, in decimal`,
  };
}

/** A moment. */
export function time(description: string): Schema {
  return { type: "string", format: "date-time", description };
}

/** The version of a document's form. */
export const VERSION_1: Schema = {
  const: 1,
  description: "version of this form: with another one keys may be missing",
};
