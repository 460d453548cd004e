import { fileKey, type TracedFile } from "./activity.ts";
import { FileNames, type NamingProcess } from "./file_names.ts";
import type { KnownFile } from "./files.ts";
import type { LockState } from "./lock_state.ts";

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

/** Files whose names may wait for a later batch. */
const MAX_UNDECIDED = 4096;

/** Tells which files are asked for, and finds their names for it. */
export class FileFilter {
  readonly #state: LockState;
  readonly #names: FileNames;
  readonly #wantsFile: FileFilterOptions["wantsFile"];
  readonly #wantsProcess: FileFilterOptions["wantsProcess"];
  readonly #onlyKeys: ReadonlySet<string> | undefined;
  /** Files with things to be told of, and who has to do with them. */
  #undecided = new Map<KnownFile, NamingProcess>();

  /**
   * Gives the files that are known already their names.
   *
   * @param now The clock by which look-ups are short, in milliseconds.
   */
  constructor(
    state: LockState,
    options: FileFilterOptions,
    now?: () => number,
  ) {
    const { wantsFile, onlyFiles, wantsProcess, directories } = options;
    this.#state = state;
    this.#names = new FileNames(wantsFile !== undefined, directories, now);
    this.#wantsProcess = wantsProcess;
    this.#wantsFile = wantsFile;
    this.#onlyKeys = onlyFiles && new Set(onlyFiles.map(fileKey));
    for (const file of onlyFiles ?? []) state.files.name(file);
  }

  /**
   * Whether a file is asked for, once it has a name as far as one can be found.
   *
   * What a process does that isn't asked for may matter later, when one that is
   * meets the same file: until then the file needs no name.
   *
   * What happens to a file whose name could not be looked for yet is kept back
   * until it is.
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
    if (!this.#names.find(file, process)) {
      if (this.#undecided.size >= MAX_UNDECIDED) return false;
      this.#undecided.set(file, process);
      file.untold ??= [];
      return true;
    }
    file.isWanted ??= this.#wantsFile?.(file) ?? true;
    if (file.untold !== undefined) this.#decide(file, file.isWanted);
    return file.isWanted;
  }

  #decide(file: KnownFile, isWanted: boolean): void {
    this.#undecided.delete(file);
    if (isWanted) this.#state.tell(file);
    else this.#state.forget(file);
  }

  /** Ends a batch: names are looked for anew. */
  nextBatch(): void {
    this.#names.nextBatch();
    for (const [file, process] of [...this.#undecided]) {
      // Once enough has been looked for, the rest has to wait again.
      if (!this.#names.find(file, process)) break;
      this.#decide(file, file.isWanted ??= this.#wantsFile?.(file) ?? true);
    }
  }

  /** Looks for the names of all files that still lack one. */
  settle(): void {
    while (this.#undecided.size > 0) this.nextBatch();
  }
}
