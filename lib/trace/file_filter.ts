import { fileKey, type TracedFile } from "./activity.ts";
import type { FileBook, KnownFile, NamingProcess } from "./files.ts";

/** Which files are asked for. */
export interface FileFilterOptions {
  /**
   * Whether a file is to be told of; asked again when its name changes. All are
   * unless given.
   */
  wantsFile?: ((file: TracedFile) => boolean) | undefined;
  /** The only files to be looked at, with their needles and names. */
  onlyFiles?: readonly TracedFile[] | undefined;
  /**
   * Whether a process is to be told of, by its id and those of its ancestors;
   * all are unless given. Who is in the way is told of everybody.
   */
  wantsProcess?: ((ids: Iterable<number>) => boolean) | undefined;
}

/** Tells which files are asked for, and finds their names for it. */
export class FileFilter {
  readonly #files: FileBook;
  readonly #wantsFile: FileFilterOptions["wantsFile"];
  readonly #wantsProcess: FileFilterOptions["wantsProcess"];
  readonly #onlyKeys: ReadonlySet<string> | undefined;

  /** Gives the files that are known already their names. */
  constructor(files: FileBook, options: FileFilterOptions) {
    const { wantsFile, onlyFiles, wantsProcess } = options;
    this.#wantsProcess = wantsProcess;
    this.#files = files;
    this.#wantsFile = wantsFile;
    this.#onlyKeys = onlyFiles && new Set(onlyFiles.map(fileKey));
    for (const file of onlyFiles ?? []) files.name(file);
  }

  /**
   * Whether a file is asked for, once it has a name as far as one can be found.
   *
   * @param process A process that has to do with it.
   */
  wants(file: KnownFile, process: NamingProcess): boolean {
    file.isCandidate ??= this.#onlyKeys?.has(fileKey(file)) ?? true;
    if (!file.isCandidate) return false;
    const { pid, ancestors } = process;
    const isUrgent = this.#wantsProcess?.([pid, ...ancestors]) ?? true;
    this.#files.nameBy(file, process, isUrgent);
    return file.isWanted ??= this.#wantsFile?.(file) ?? true;
  }
}
