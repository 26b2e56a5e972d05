import { Failure } from '../../../kernel/errors.ts';

/** The operation does not fit the resource as it is. `at` names the operation in the patch. */
export const patchFailure = (text: string, at: string): Failure =>
  new Failure('fhir.patch', 'The patch cannot be applied; see the issues.', { issues: [{ text, at }] });

/** The operation touches what only the server writes. */
export const protectedFailure = (at: string): Failure =>
  new Failure('fhir.protected', 'A patch cannot change id, resourceType or meta.', {
    issues: [
      {
        text: 'id, resourceType and meta cannot be patched; labels and tags change by $meta-add and $meta-delete',
        at,
      },
    ],
  });
