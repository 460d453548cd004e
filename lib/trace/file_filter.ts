import { fileKey, type TracedFile } from "./activity.ts";
import { FileNames, type NamingProcess } from "./file_names.ts";
import type { FileBook, KnownFile } from "./files.ts";

/** Which files are asked for. */
export interface FileFilterOptions {
  /**
   * Whether a file is to be told of; asked again when its name changes. All are
   * unless given.
   */
  wantsFile?: ((file: TracedFile) => boolean) | undefined;
  /** Where files that are asked for by name are likely to be. */
  directories?: readonly string[] | undefined;
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
  readonly #names: FileNames;
  readonly #wantsFile: FileFilterOptions["wantsFile"];
  readonly #wantsProcess: FileFilterOptions["wantsProcess"];
  readonly #onlyKeys: ReadonlySet<string> | undefined;

  /** Gives the files that are known already their names. */
  constructor(files: FileBook, options: FileFilterOptions) {
    const { wantsFile, onlyFiles, wantsProcess, directories } = options;
    this.#names = new FileNames(wantsFile !== undefined, directories);
    this.#wantsProcess = wantsProcess;
    this.#wantsFile = wantsFile;
    this.#onlyKeys = onlyFiles && new Set(onlyFiles.map(fileKey));
    for (const file of onlyFiles ?? []) files.name(file);
  }

  /**
   * Whether a file is asked for, once it has a name as far as one can be found.
   *
   * What a process does that isn't asked for may matter later, when one that is
   * meets the same file: until then the file needs no name.
   *
   * @param process A process that has to do with it.
   */
  wants(file: KnownFile, process: NamingProcess): boolean {
    file.isCandidate ??= this.#onlyKeys?.has(fileKey(file)) ?? true;
    if (!file.isCandidate) return false;
    const { pid, ancestors } = process;
    if (this.#wantsProcess?.([pid, ...ancestors]) === false) {
      return file.isWanted ?? true;
    }
    this.#names.find(file, process);
    return file.isWanted ??= this.#wantsFile?.(file) ?? true;
  }

  /** Ends a batch: names are looked for anew. */
  nextBatch(): void {
    this.#names.nextBatch();
  }
}
