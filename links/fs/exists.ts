export interface ExistsOptions {
  isFile?: boolean;
  isDirectory?: boolean;
}

export function existsSync(
  path: string | URL,
  { isFile = false, isDirectory = false }: ExistsOptions = {},
): boolean {
  try {
    const found = Deno.statSync(path);
    return !(isFile && !found.isFile || isDirectory && !found.isDirectory);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
