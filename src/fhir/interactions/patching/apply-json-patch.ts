import type { Resource } from '@medplum/fhirtypes';
import { applyPatch, type Operation, Pointer } from 'rfc6902';
import { Failure } from '../../../kernel/errors.ts';
import { moveSpelling } from '../../resource-json.ts';
import { patchFailure, protectedFailure } from './patch-failure.ts';

/** More than any honest change needs; each operation may walk the whole resource. */
export const PATCH_OPERATIONS_MAX = 500;

/**
 * R4 http.html#patch with JSON Patch (RFC 6902): changes `resource` in place. Throws `fhir.invalid` for what is no patch, `fhir.protected` for a
 * path into what the server owns, `fhir.patch` for an operation that does not fit (RFC 5789: then nothing is changed at all, so throw `resource` away).
 */
export function applyJsonPatch(resource: Resource, patch: unknown): void {
  for (const [at, operation] of operationsOf(patch).entries()) {
    const where = `[${at}]`;
    checkPaths(operation, where);
    const fault = tryApply(resource, operation);
    if (fault) throw patchFailure(FAULTS[fault] ?? 'this operation cannot be applied', where);
    keepSpelling(resource, operation);
  }
}

const FAULTS: Readonly<Record<string, string>> = {
  MissingError: 'the path leads to nothing in this version of the resource',
  TestError: 'the test failed: the value is another one now',
};

function operationsOf(patch: unknown): Operation[] {
  if (!Array.isArray(patch) || patch.length === 0 || patch.length > PATCH_OPERATIONS_MAX) {
    throw new Failure('fhir.invalid', `A JSON Patch is a list of 1 to ${PATCH_OPERATIONS_MAX} operations.`);
  }
  patch.forEach((operation: unknown, at) => {
    if (!isOperation(operation)) {
      throw new Failure('fhir.invalid', 'The JSON Patch has an operation that RFC 6902 does not know.', {
        issues: [{ text: 'an operation needs op, path, and value or from', at: `[${at}]` }],
      });
    }
  });
  return patch as Operation[];
}

function isOperation(operation: unknown): operation is Operation {
  if (typeof operation !== 'object' || operation === null) return false;
  const { op, path, from } = operation as { op?: unknown; path?: unknown; from?: unknown };
  if (!isPointer(path)) return false;
  if (op === 'add' || op === 'replace' || op === 'test') return Object.hasOwn(operation, 'value');
  if (op === 'move' || op === 'copy') return isPointer(from);
  return op === 'remove';
}

/** RFC 6901; names that reach into JavaScript's own objects are no elements of FHIR. */
const isPointer = (path: unknown): path is string =>
  typeof path === 'string' &&
  /^(?:\/(?:[^~]|~[01])*)?$/.test(path) &&
  !/(?:^|\/)(?:__proto__|constructor|prototype)(?:\/|$)/.test(path);

function checkPaths(operation: Operation, where: string): void {
  if (operation.op === 'test') return;
  const changed = operation.op === 'move' ? [operation.path, operation.from] : [operation.path];
  if (changed.some((path) => path === '' || OWNED.test(path))) throw protectedFailure(where);
}

const OWNED = /^\/(?:id|resourceType|meta)(?:\/|$)/;

/** The name of the fault; null when it was applied. */
function tryApply(resource: Resource, operation: Operation): string | null {
  try {
    return applyPatch(resource, [operation])[0]?.name ?? null;
  } catch {
    return 'Error';
  }
}

/** The library copies values, and a copy forgets how its numbers were written: the value itself is put in its place. */
function keepSpelling(resource: Resource, operation: Operation): void {
  if (operation.op !== 'add' && operation.op !== 'replace') return;
  const end = Pointer.fromJSON(operation.path).evaluate(resource);
  const holder = end.parent as Record<string, unknown> | unknown[];
  const key = Array.isArray(holder) && end.key === '-' ? String(holder.length - 1) : end.key;
  (holder as Record<string, unknown>)[key] = operation.value;
  moveSpelling(operation, 'value', holder, key);
}
