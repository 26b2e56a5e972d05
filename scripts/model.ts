import { enableCompileCache } from 'node:module';
import { Failure } from '../src/kernel/errors.ts';

const USAGE = `npm run model -- add <folder> [--check]       check a package (or all under a folder), then take it in; --check: only check
npm run model -- list                          every model and version: state, checksum, device UID, what it fits
npm run model -- run <model> <dicom folder> [--pictures <folder>]
                                               each study through every stage: shapes, ranges, times
npm run model -- evaluate <model> <folder> <labels.csv> [--out <folder>] [--label <finding>=<column>]... [--scores <file.csv>]
                                               a site's acceptance test: HTML and JSON report
npm run model -- release <model> <shadow|pilot|live|retired> --by <who> [--reason <text>] [--without-golden]
npm run model -- deidentify <dicom folder> <out folder> [--option <name>]... [--new-key]
                                               files without the patient, for a model's maker
npm run model -- reidentify <result folder> <dicom folder> <out folder>
                                               what comes back gets its study, images and patient again
<model>: <id>, <id>@<version>, or a folder with a manifest
`;

type Command = (args: string[]) => Promise<number>;

/**
 * The commands of a model's owner. Each ends with 0 (good), 1 (something is wrong with the model) or 2 (with the command). Only the one that is
 * called is loaded, with what it needs, and compiled code is kept between calls: loading all of them takes longer than most of them do.
 */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  add: async () => (await import('./model-add.ts')).addModels,
  list: async () => (await import('./model-list.ts')).listModels,
  run: async () => (await import('./model-run.ts')).runModel,
  evaluate: async () => (await import('./model-evaluate.ts')).evaluateModel,
  release: async () => (await import('./model-release.ts')).releaseModel,
  deidentify: async () => (await import('./model-deidentify.ts')).deidentifyFolder,
  reidentify: async () => (await import('./model-reidentify.ts')).reidentifyFolder,
};

const FILE_TROUBLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of this path is a file, and no folder',
  EEXIST: 'there is a file of this name already; name a folder',
  EISDIR: 'is a folder; name a file',
  EACCES: 'you may not read or write it',
  EROFS: 'the disk takes no writes',
  ENOSPC: 'the disk is full',
};

async function main(): Promise<number> {
  const [name = '', ...args] = process.argv.slice(2);
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  try {
    enableCompileCache();
    const command = await load();
    return await command(args);
  } catch (error) {
    const isUsage = error instanceof TypeError && 'code' in error; // parseArgs
    const unreadable = fileTrouble(error);
    if (unreadable !== null) {
      process.stderr.write(`${unreadable}\n`);
      return 2;
    }
    if (!(error instanceof Failure) && !isUsage) throw error;
    process.stderr.write(
      error instanceof Failure ? `${error.code}: ${error.message}\n` : `${error.message}\n${USAGE}`,
    );
    return isUsage ? 2 : error instanceof Failure && error.code === 'config.invalid' ? 2 : 1;
  }
}

/** A file or folder that was named and cannot be read or written, in words; null for any other error. */
function fileTrouble(error: unknown): string | null {
  const { code, path } = error as NodeJS.ErrnoException;
  const words = FILE_TROUBLE[code ?? ''];
  return path === undefined || words === undefined ? null : `${path}: ${words}`;
}

process.exit(await main());
