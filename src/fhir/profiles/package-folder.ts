import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  CodeSystem,
  OperationDefinition,
  SearchParameter,
  StructureDefinition,
  ValueSet,
} from '@medplum/fhirtypes';
import { folderWith } from '../../config/folder-with.ts';
import { Failure } from '../../kernel/errors.ts';

/** What of a package is used or published here; examples and pages are left alone. */
export type PackageResource =
  | StructureDefinition
  | ValueSet
  | CodeSystem
  | SearchParameter
  | OperationDefinition;

const USED = new Set<string>([
  'StructureDefinition',
  'ValueSet',
  'CodeSystem',
  'SearchParameter',
  'OperationDefinition',
]);

/**
 * Reads a FHIR package as a folder (FHIR NPM package specification: `package.json` beside the resources, or both in `package/`). Throws
 * `config.invalid` when the folder is none, or a file of it is not JSON: better at start than at the first write.
 */
export function readPackage(folder: string): PackageResource[] {
  const inner = join(folder, 'package');
  const at = existsSync(join(inner, 'package.json')) ? inner : folder;
  if (!existsSync(join(at, 'package.json')))
    throw new Failure(
      'config.invalid',
      `FHIR_PACKAGES: ${folder} is no FHIR package; it has no package.json.`,
    );
  return readdirSync(at)
    .filter((name) => name.endsWith('.json') && name !== 'package.json' && !name.startsWith('.'))
    .sort()
    .map((name) => read(join(at, name)))
    .filter((resource): resource is PackageResource => USED.has(resource.resourceType ?? ''));
}

function read(path: string): { resourceType?: string } {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { resourceType?: string };
  } catch {
    throw new Failure('config.invalid', `FHIR_PACKAGES: ${path} is not JSON.`);
  }
}

/** The package this project publishes, `fhir-profiles`: found from `src` and from `dist` alike. */
export function ownPackageFolder(): string {
  const folder = folderWith('fhir-profiles/package.json');
  if (folder === null)
    throw new Failure('config.invalid', 'The folder fhir-profiles is missing; put it back.');
  return join(folder, 'fhir-profiles');
}
