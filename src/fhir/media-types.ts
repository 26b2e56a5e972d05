import { Failure } from '../kernel/errors.ts';
import type { FhirRequest } from './fhir-request.ts';

/**
 * R4 http.html#mime-type: this server speaks JSON. `_format` wins over Accept. Throws `fhir.not-acceptable` (406) and
 * `fhir.media-type` (415).
 */
export function checkMediaTypes(request: FhirRequest): void {
  const wanted = request.query.get('_format') ?? request.headers['accept'] ?? '*/*';
  // A `+` in a query string arrives as a blank.
  if (!wanted.split(',').some((type) => speaksJson(type.trim().replace(' json', '+json')))) {
    throw new Failure('fhir.not-acceptable', 'This server answers application/fhir+json, FHIR version 4.0.');
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new Failure('fhir.media-type', 'Send the body without Content-Encoding.');
  }
  const sent = request.headers['content-type'];
  if (sent !== undefined && request.body && request.body.length > 0 && !readsType(sent)) {
    throw new Failure('fhir.media-type', 'Send application/fhir+json, FHIR version 4.0.');
  }
}

export const wantsPretty = (request: FhirRequest): boolean => request.query.get('_pretty') === 'true';

const JSON_TYPES: ReadonlySet<string> = new Set([
  'json',
  'application/fhir+json',
  'application/json',
  'application/json+fhir',
  'text/json',
]);

function speaksJson(type: string): boolean {
  const { name, version } = parts(type);
  return (JSON_TYPES.has(name) || name === '*/*' || name === 'application/*') && isR4(version);
}

function readsType(type: string): boolean {
  const { name, version } = parts(type);
  return (JSON_TYPES.has(name) || name === 'application/x-www-form-urlencoded') && isR4(version);
}

/** R4 http.html#version-parameter */
const isR4 = (version: string | undefined): boolean =>
  version === undefined || /^4\.0(\.\d+)?$/.test(version);

function parts(type: string): { name: string; version: string | undefined } {
  const [name = '', ...rest] = type.split(';').map((part) => part.trim().toLowerCase());
  return {
    name,
    version: rest.find((part) => part.startsWith('fhirversion='))?.slice('fhirversion='.length),
  };
}
