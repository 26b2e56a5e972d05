import { badParameter } from './at-parameter.ts';
import type { FhirRequest } from './fhir-request.ts';

/**
 * R4 http.html#mime-type: this server speaks JSON. `_format` wins over Accept. Throws `fhir.not-acceptable` (406) and
 * `fhir.media-type` (415).
 */
export function checkMediaTypes(request: FhirRequest): void {
  if (!wantedTypes(request).some(speaksJson) && !mayBeNative(request)) {
    const asked = request.query.get('_format') ? '_format' : 'Accept';
    throw badParameter(
      asked,
      'This server answers application/fhir+json, FHIR version 4.0.',
      'fhir.not-acceptable',
    );
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw badParameter('Content-Encoding', 'Send the body without Content-Encoding.', 'fhir.media-type');
  }
  const sent = request.headers['content-type'];
  if (sent === undefined || !request.body || request.body.length === 0) return;
  // Only PATCH reads JSON Patch, and says so itself of everything else it is sent.
  const isPatch = request.method === 'PATCH' && parts(sent).name === 'application/json-patch+json';
  if (!isPatch && !readsType(sent))
    throw badParameter('Content-Type', 'Send application/fhir+json, FHIR version 4.0.', 'fhir.media-type');
  const { charset } = parts(sent);
  // RFC 8259 8.1: read as UTF-8, letters of another charset would be other letters.
  if (charset !== undefined && !UTF8.test(charset))
    throw badParameter(
      'Content-Type',
      'Send JSON in UTF-8, and say so: "charset=utf-8", or no charset.',
      'fhir.media-type',
    );
}

/** Is FHIR JSON asked for by name? */
export const asksForFhirJson = (request: FhirRequest): boolean =>
  wantedTypes(request).some((type) => JSON_TYPES.has(parts(type).name) && isR4(parts(type).version));

function wantedTypes(request: FhirRequest): string[] {
  // Empty ones ask for nothing special.
  const wanted = request.query.get('_format') || request.headers['accept'] || '*/*';
  // A `+` in a query string arrives as a blank.
  return wanted.split(',').map((type) => type.trim().replace(/^([^\s;]+) ([^\s;]+)/, '$1+$2'));
}

/** R4 binary.html#rest: a Binary can be had in its own type, which is only known once it is read. Never as FHIR XML. */
function mayBeNative(request: FhirRequest): boolean {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  return (
    isRead &&
    request.path[0] === 'Binary' &&
    !wantedTypes(request).some((type) => FHIR_XML.has(parts(type).name))
  );
}

const FHIR_XML: ReadonlySet<string> = new Set(['xml', 'application/fhir+xml', 'application/xml+fhir']);

export const wantsPretty = (request: FhirRequest): boolean => request.query.get('_pretty') === 'true';

const JSON_TYPES: ReadonlySet<string> = new Set([
  'json',
  'application/fhir+json',
  'application/json',
  'application/json+fhir',
  'text/json',
]);

function speaksJson(type: string): boolean {
  const { name, version, refused } = parts(type);
  if (refused) return false;
  return (JSON_TYPES.has(name) || name === '*/*' || name === 'application/*') && isR4(version);
}

function readsType(type: string): boolean {
  const { name, version } = parts(type);
  return (JSON_TYPES.has(name) || name === 'application/x-www-form-urlencoded') && isR4(version);
}

/** R4 http.html#version-parameter */
const isR4 = (version: string | undefined): boolean =>
  version === undefined || /^4\.0(\.\d+)?$/.test(version);

/** `refused`: `q=0`, which says "not this one" (RFC 9110 12.4.2). */
function parts(type: string): {
  name: string;
  version: string | undefined;
  charset: string | undefined;
  refused: boolean;
} {
  const [name = '', ...rest] = type.split(';').map((part) => part.trim().toLowerCase());
  return {
    name,
    refused: rest.some((part) => /^q=0(?:\.0{0,3})?$/.test(part)),
    version: rest.find((part) => part.startsWith('fhirversion='))?.slice('fhirversion='.length),
    charset: rest.find((part) => part.startsWith('charset='))?.slice('charset='.length),
  };
}

/** ASCII is part of it. */
const UTF8 = /^"?(?:utf-?8|us-ascii)"?$/;
