/**
 * The expressions of `locks --filter`, as lslocks(8) -Q has them:
 *
 * ```
 * or:      and { ("||" | "or") and }
 * and:     not { ("&&" | "and") not }
 * not:     ("!" | "not") not | test
 * test:    "(" or ")" | operand [ operator operand ]
 * operand: COLUMN | "text" | 'text' | number | true | false
 * ```
 *
 * @module
 */

import { parseDuration } from "../../args/duration.ts";
import { UsageError } from "../../args/parse.ts";
import { parseSize } from "../../args/size.ts";
import {
  type Cell,
  type Column,
  type ColumnStyle,
  findColumn,
} from "./column.ts";
import type { Row } from "./row.ts";

/** Whether a row is wanted. */
export type RowTest = (row: Row, nowMs: number) => boolean;

type Scalar = string | number | bigint | boolean;

/** Gives the values of one side in a row: none when it isn't known. */
type Operand = (row: Row, style: ColumnStyle) => readonly Scalar[];

type Test = (row: Row, style: ColumnStyle) => boolean;

/** Operators with what they say of an order. */
const COMPARISONS: Readonly<Record<string, (order: number) => boolean>> = {
  "==": (order) => order === 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};
/** Operators that say that another one doesn't hold. */
const NEGATIONS: Readonly<Record<string, string>> = { "!=": "==", "!~": "=~" };
/** Other names of operators. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["=", "=="],
  ["eq", "=="],
  ["ne", "!="],
  ["lt", "<"],
  ["le", "<="],
  ["gt", ">"],
  ["ge", ">="],
  ["or", "||"],
  ["and", "&&"],
  ["not", "!"],
]);

const TOKEN =
  /\s*(?:(\|\||&&|[=!]~|[=!<>]=|[=!<>()])|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(\d[\w.]*)|([a-z][a-z:]*))/iy;

interface Token {
  kind: "sign" | "text" | "number" | "word" | "end";
  text: string;
  /** Where it begins. */
  at: number;
}

/**
 * Reads an expression.
 *
 * @throws {UsageError} when it can't be understood; it says where.
 */
export function parseFilter(text: string): RowTest {
  const test = new FilterParser(text).parse();
  return (row, nowMs) => test(row, { bytes: true, nowMs });
}

class FilterParser {
  readonly #text: string;
  readonly #tokens: Token[];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = this.#tokenize();
  }

  parse(): Test {
    const test = this.#or();
    if (this.#token.kind !== "end") this.#fail("an operator");
    return test;
  }

  #tokenize(): Token[] {
    const tokens: Token[] = [];
    let at = 0;
    for (;;) {
      TOKEN.lastIndex = at;
      const match = TOKEN.exec(this.#text);
      if (match === null) break;
      const [whole, sign, text, number, word] = match;
      at += whole.length;
      const known = ALIASES.get((sign ?? word ?? "").toLowerCase());
      const [kind, value] = sign !== undefined || known !== undefined
        ? ["sign", known ?? sign!] as const
        : text !== undefined
        ? ["text", text] as const
        : number !== undefined
        ? ["number", number] as const
        : ["word", word!] as const;
      tokens.push({ kind, text: value, at: at - whole.trimStart().length });
    }
    const rest = this.#text.slice(at).trimStart();
    const end: Token = {
      kind: "end",
      text: rest,
      at: this.#text.length - rest.length,
    };
    tokens.push(end);
    return tokens;
  }

  get #token(): Token {
    return this.#tokens[this.#next]!;
  }

  #fail(expected: string): never {
    const { kind, text, at } = this.#token;
    const found = kind === "end" && text === "" ? "its end" : `'${text}'`;
    throw new UsageError(
      `invalid filter: expected ${expected} at character ${at + 1}, ` +
        `found ${found}: '${this.#text}'`,
      { hint: `Write something like: PID == 1 or PATH =~ "^/var"` },
    );
  }

  #take(sign: string): boolean {
    const { kind, text } = this.#token;
    if (kind !== "sign" || text !== sign) return false;
    this.#next++;
    return true;
  }

  #or(): Test {
    const tests = [this.#and()];
    while (this.#take("||")) tests.push(this.#and());
    return (row, style) => tests.some((test) => test(row, style));
  }

  #and(): Test {
    const tests = [this.#not()];
    while (this.#take("&&")) tests.push(this.#not());
    return (row, style) => tests.every((test) => test(row, style));
  }

  #not(): Test {
    if (this.#take("!")) {
      const test = this.#not();
      return (row, style) => !test(row, style);
    }
    if (this.#take("(")) {
      const test = this.#or();
      if (!this.#take(")")) this.#fail("')'");
      return test;
    }
    return this.#test();
  }

  #test(): Test {
    const left = this.#operand();
    const { kind, text } = this.#token;
    const negated = kind === "sign" ? NEGATIONS[text] : undefined;
    const operator = negated ?? text;
    const holds = kind === "sign" ? COMPARISONS[operator] : undefined;
    let test: Test;
    if (kind === "sign" && operator === "=~") {
      this.#next++;
      const pattern = this.#pattern();
      test = (row, style) =>
        left(row, style).some((value) => pattern.test(String(value)));
    } else if (holds !== undefined) {
      this.#next++;
      const right = this.#operand();
      test = (row, style) =>
        left(row, style).some((a) =>
          right(row, style).some((b) => {
            const order = compare(a, b);
            return order !== undefined && holds(order);
          })
        );
    } else {
      return (row, style) => left(row, style).some(isTrue);
    }
    // Of several values none must be equal; what isn't known is equal to none.
    return negated === undefined ? test : (row, style) => !test(row, style);
  }

  #pattern(): RegExp {
    const { kind, text } = this.#token;
    if (kind !== "text") this.#fail("a pattern in quotes");
    this.#next++;
    const pattern = unquote(text);
    try {
      return new RegExp(pattern, "u");
    } catch {
      throw new UsageError(`invalid regular expression: '${pattern}'`);
    }
  }

  #operand(): Operand {
    const { kind, text } = this.#token;
    if (kind === "sign" || kind === "end") this.#fail("a column or a value");
    this.#next++;
    switch (kind) {
      case "text": {
        const value = unquote(text);
        return () => [value];
      }
      case "number": {
        const value = readNumber(text);
        return () => [value];
      }
    }
    const word = text.toLowerCase();
    if (word === "true" || word === "false") return () => [word === "true"];
    const column = findColumn(text);
    return (row, style) => columnValues(column, row, style);
  }
}

/** The values of a column in a row; times in seconds. */
function columnValues(
  column: Column,
  row: Row,
  style: ColumnStyle,
): readonly Scalar[] {
  if (column.ms !== undefined) {
    const ms = column.ms(row, style);
    return ms === undefined ? [] : [ms / 1000];
  }
  const cell: Cell = column.cell(row, style);
  return cell === undefined ? [] : typeof cell === "object" ? cell : [cell];
}

function isTrue(value: Scalar): boolean {
  return value !== "" && value !== false && Number(value) !== 0;
}

/**
 * The order of two values, less than, equal to or greater than 0; a number
 * stands beside a text that is a time or a list of numbers. `undefined` when
 * they can't be compared.
 */
function compare(a: Scalar, b: Scalar): number | undefined {
  if (typeof a === typeof b || isNumber(a) && isNumber(b)) {
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (typeof a === "string" && isNumber(b)) {
    const order = compare(b, a);
    return order === undefined ? undefined : -order;
  }
  if (typeof b !== "string" || !isNumber(a)) return undefined;
  const numbers = b.split(",").map(readSeconds);
  const equal = numbers.some((number) => number === Number(a));
  return equal
    ? 0
    : numbers.length === 1 && !Number.isNaN(numbers[0])
    ? compare(a, numbers[0]!)
    : undefined;
}

function isNumber(value: Scalar): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

function readSeconds(text: string): number {
  try {
    return parseDuration(text) / 1000;
  } catch {
    return NaN;
  }
}

function readNumber(text: string): Scalar {
  if (/^\d+\.\d+$/.test(text)) return Number(text);
  try {
    return parseSize(text);
  } catch {
    throw new UsageError(`invalid number: '${text}'`, {
      hint: 'A time stands in quotes: AGE > "1h"',
    });
  }
}

/** The text between quotes. */
function unquote(text: string): string {
  // In a pattern the backslash means something else before other characters.
  return text.slice(1, -1).replace(/\\(["'])/g, "$1");
}
