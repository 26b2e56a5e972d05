import type { Resource } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import { parseJson } from '../resource-json.ts';
import { placeIn, scanJson } from './scan-json.ts';

/** An ImagingStudy of 3,000 instances has 0.5 MB; attachments of a report the rest. */
export const RESOURCE_BYTES_MAX = 2 * 1024 * 1024;
/** A Bundle carries many. Also the limit of a request body. */
export const BUNDLE_BYTES_MAX = 20 * 1024 * 1024;
export const BUNDLE_ENTRIES_MAX = 500;

/**
 * Reads a request body as a resource of any known type, not yet validated. Throws `fhir.invalid` for what is no JSON, no resource or is a
 * bomb (see `scanJson`), `fhir.too-large` above the limits. No message repeats what was sent.
 */
export function parseResource(body: Buffer | undefined): Resource {
  if (!body || body.length === 0)
    throw new Failure('fhir.invalid', 'The request needs a resource as its body.');
  const resource = parseBody(body);
  if (typeof resource !== 'object' || resource === null || Array.isArray(resource)) {
    throw new Failure('fhir.invalid', 'The body must be one FHIR resource.');
  }
  const { resourceType, entry } = resource as { resourceType?: unknown; entry?: unknown };
  if (typeof resourceType !== 'string' || !definitions().resourceTypes.includes(resourceType)) {
    throw new Failure('fhir.invalid', 'The body needs a resourceType that FHIR R4 knows.', {
      issues: [
        {
          text: 'missing or unknown resourceType: name a resource type of FHIR R4, as in "resourceType": "Patient"',
          at: 'resourceType',
          type: 'structure',
        },
      ],
    });
  }
  if (resourceType !== 'Bundle' && body.length > RESOURCE_BYTES_MAX)
    throw tooLarge('A resource', RESOURCE_BYTES_MAX);
  if (Array.isArray(entry) && entry.length > BUNDLE_ENTRIES_MAX) {
    const text = `A Bundle may have ${BUNDLE_ENTRIES_MAX} entries; send more than one.`;
    throw new Failure('fhir.too-large', text, { issues: [{ text, at: 'Bundle.entry' }] });
  }
  return resource as Resource;
}

const tooLarge = (what: string, bytes: number): Failure =>
  new Failure('fhir.too-large', `${what} may have ${bytes} bytes at most.`);

/** Reads JSON that is no resource (a JSON Patch) under the same limits. */
export function parseUntyped(body: Buffer | undefined): unknown {
  if (!body || body.length === 0) throw new Failure('fhir.invalid', 'The request needs a body.');
  if (body.length > RESOURCE_BYTES_MAX) throw tooLarge('A patch', RESOURCE_BYTES_MAX);
  return parseBody(body);
}

function parseBody(body: Buffer): unknown {
  if (body.length > BUNDLE_BYTES_MAX) throw tooLarge('A request', BUNDLE_BYTES_MAX);
  const text = decode(body);
  const { respelledNumbers } = scanJson(text);
  // PostgreSQL text cannot hold U+0000, and a lone surrogate is no character.
  if (/\\u0000/.test(text) || (text.includes('\\u') && /\\u[dD][89a-fA-F]/.test(text) && !wellFormed(text))) {
    throw new Failure(
      'fhir.invalid',
      'A string of the JSON has U+0000 or half a character (a lone surrogate); remove it.',
    );
  }
  try {
    return parseJson(text, respelledNumbers);
  } catch (error) {
    // V8 says where, and quotes what stands there: only the number is taken.
    const place = /position (\d+)/.exec((error as Error).message)?.[1];
    const at = placeIn(text, place === undefined ? text.length : Number(place));
    throw new Failure('fhir.invalid', `The body is not JSON: it cannot be read further than ${at}.`);
  }
}

function decode(body: Buffer): string {
  try {
    return UTF8.decode(body);
  } catch {
    throw new Failure('fhir.invalid', 'The body is not UTF-8; send it in this encoding.');
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function wellFormed(text: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)).search(/\\ud[89a-f]/i) === -1;
  } catch {
    return true; // the parser will say so
  }
}
