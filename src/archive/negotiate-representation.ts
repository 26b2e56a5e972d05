import { type MediaType, parseMediaTypes } from '../dicom/media-type.ts';
import { Failure } from '../kernel/errors.ts';

export type Representation = 'multipart' | 'single';

/**
 * Which form of instances the client takes (PS3.18 8.7.3): `multipart/related; type="application/dicom"`, or a bare
 * `application/dicom` for one instance. Instances are given in the encoding they came in: a transfer syntax asked for by
 * name must be that of every instance. Throws `archive.not-acceptable`.
 */
export function negotiateInstances(
  accept: string | undefined,
  transferSyntaxes: ReadonlySet<string>,
  instances: number,
): Representation {
  const ranges = accept === undefined || accept.trim() === '' ? [ANYTHING] : parseMediaTypes(accept);
  for (const range of ranges.filter(isWanted)) {
    const syntax = range.parameters['transfer-syntax'] ?? '*';
    if (syntax !== '*' && !(transferSyntaxes.size === 1 && transferSyntaxes.has(syntax))) continue;
    const type = range.parameters['type']?.toLowerCase() ?? 'application/dicom';
    if (range.type === 'multipart/related' && type === 'application/dicom') return 'multipart';
    if (range.type === '*/*' || range.type === 'multipart/*') return 'multipart';
    if ((range.type === 'application/dicom' || range.type === 'application/*') && instances === 1)
      return 'single';
  }
  throw new Failure(
    'archive.not-acceptable',
    'Instances are given as multipart/related; type="application/dicom"; transfer-syntax=*, in the encoding they came in.',
  );
}

/** Throws `archive.not-acceptable` unless the client takes DICOM JSON. */
export function negotiateJson(accept: string | undefined): void {
  if (accept === undefined || accept.trim() === '') return;
  const wanted = parseMediaTypes(accept).filter(isWanted);
  if (wanted.some(({ type }) => JSON_TYPES.has(type))) return;
  throw new Failure('archive.not-acceptable', 'Searches and metadata are given as application/dicom+json.');
}

const ANYTHING: MediaType = { type: '*/*', parameters: {} };
const JSON_TYPES = new Set(['application/dicom+json', 'application/json', 'application/*', '*/*']);

function isWanted(range: MediaType): boolean {
  return Number(range.parameters['q'] ?? 1) > 0;
}
