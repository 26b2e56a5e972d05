import type { FastifyInstance, FastifyRequest } from 'fastify';
import { BUNDLE_BYTES_MAX } from './validate/parse-resource.ts';

/**
 * Bodies under /fhir reach the interactions as bytes: FHIR JSON is scanned before it is parsed, and numbers keep their spelling. Other routes
 * get JSON parsed as before.
 */
export function keepRawBodies(instance: FastifyInstance): void {
  // Fastify reads plain text by itself; nothing here wants it, and it is refused as any other type (415).
  if (instance.hasContentTypeParser('text/plain')) instance.removeContentTypeParser('text/plain');
  for (const type of ['application/json', 'application/x-www-form-urlencoded']) {
    const parse = type === 'application/json' ? parseJsonBody : parseForm;
    if (instance.hasContentTypeParser(type)) instance.removeContentTypeParser(type);
    instance.addContentTypeParser(
      type,
      { parseAs: 'buffer', bodyLimit: BUNDLE_BYTES_MAX },
      async (request: FastifyRequest, body: Buffer) => {
        if (isFhir(request.url)) return body;
        if (body.length > OTHER_BODY_BYTES_MAX)
          throw Object.assign(new Error('too large'), { statusCode: 413 });
        return parse(body);
      },
    );
  }
  for (const type of [
    'application/fhir+json',
    'application/json+fhir',
    'text/json',
    'application/json-patch+json',
  ]) {
    if (instance.hasContentTypeParser(type)) continue;
    instance.addContentTypeParser(type, { parseAs: 'buffer', bodyLimit: BUNDLE_BYTES_MAX }, keep);
  }
}

const keep = async (_request: FastifyRequest, body: Buffer): Promise<Buffer> => body;

/** Fastify's own limit, for routes that are not FHIR. */
const OTHER_BODY_BYTES_MAX = 1_048_576;

/** Is the URL under the FHIR base? */
export const isFhir = (url: string): boolean => /^\/fhir(?:[/?]|$)/.test(url);

function parseJsonBody(body: Buffer): unknown {
  try {
    return body.length === 0 ? undefined : JSON.parse(body.toString('utf8'));
  } catch {
    throw Object.assign(new Error('not JSON'), { statusCode: 400 });
  }
}

/** A name that stands twice has a list: who reads the form sees it, and refuses (RFC 6749 3.2). */
function parseForm(body: Buffer): Record<string, string | string[]> {
  const form: Record<string, string | string[]> = Object.create(null);
  const fields = new URLSearchParams(body.toString('utf8'));
  for (const name of new Set(fields.keys())) {
    const values = fields.getAll(name);
    form[name] = values.length === 1 ? (values[0] as string) : values;
  }
  return form;
}
