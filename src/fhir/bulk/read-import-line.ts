import type { OperationOutcome, Resource } from '@medplum/fhirtypes';
import { PRELIM } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, demandAccess } from '../access-context.ts';
import { failureToOutcome } from '../failure-to-outcome.ts';
import { keepLabels } from '../interactions/client-meta.ts';
import type { ResourceWrite } from '../resource-store.ts';
import type { BoundCodes } from '../validate/bound-codes.ts';
import { parseResource, RESOURCE_BYTES_MAX } from '../validate/parse-resource.ts';
import { findIssues, refuse } from '../validate/validate-resource.ts';
import type { NdjsonLine } from './read-lines.ts';

/** What a line comes to. Null: it is blank. */
export type ReadLine = { readonly write: ResourceWrite } | { readonly refused: string } | null;

/** Audit and provenance of this server are made by this server: nobody brings them along. */
const NOT_IMPORTED: ReadonlySet<string> = new Set(['AuditEvent', 'Bundle', 'Parameters', 'OperationOutcome']);

/**
 * Reads and validates one line as a create or an update would read its body. A resource with an id keeps it, and becomes the next version where
 * there is one already; what is stored in the same form is left as it is, so that a file can be imported twice. Where `codes` has open questions
 * afterwards that it had not before, the line has to be read again with their answers.
 */
export function readImportLine(
  line: NdjsonLine,
  type: string | null,
  access: AccessContext,
  codes: BoundCodes,
): ReadLine {
  if (line.bytes?.length === 0 || (line.bytes?.length === 1 && line.bytes[0] === 0x0d)) return null;
  try {
    if (line.bytes === null)
      throw new Failure('fhir.too-large', `A resource may have ${RESOURCE_BYTES_MAX} bytes at most.`);
    const resource = parseResource(line.bytes);
    if (type !== null && resource.resourceType !== type)
      throw new Failure('fhir.invalid', 'The line has another type than the file.');
    if (NOT_IMPORTED.has(resource.resourceType))
      throw new Failure('fhir.unsupported', 'Resources of this type are not imported.');
    demandAccess(access, resource.resourceType, resource.id === undefined ? 'create' : 'update');
    refuse(resource, findIssues(resource, [], codes));
    return { write: writeOf(resource) };
  } catch (error) {
    return { refused: refusal(error, line.number) };
  }
}

function writeOf(resource: Resource): ResourceWrite {
  return resource.id === undefined
    ? { kind: 'create', resource }
    : {
        kind: 'update',
        resource: resource as Resource & { id: string },
        unchanged: 'skip',
        mergeMeta: keepLabels,
      };
}

/** One line of the error file: the same outcome that a single write would answer, with the number of the line. Holds no values. */
export function refusal(error: unknown, lineNumber: number): string {
  const { outcome } = failureToOutcome(error);
  const extension: OperationOutcome['extension'] = [{ url: LINE_EXTENSION, valuePositiveInt: lineNumber }];
  return JSON.stringify({ ...outcome, extension });
}

/** Which line of the file an outcome is about. */
export const LINE_EXTENSION = `${PRELIM}/StructureDefinition/import-line`;
