export interface ParseOptions<Switch extends string = never> {
  boolean?: Switch | readonly Switch[];
  stopEarly?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}
export type Args<Switch extends string = never> =
  & { [Name in Switch]: boolean }
  & { _: (string | number)[] };
export function parseArgs<const Switch extends string = never>(
  args: readonly string[],
  options?: ParseOptions<Switch>,
): Args<Switch>;
