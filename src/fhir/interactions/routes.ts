import { Failure } from '../../kernel/errors.ts';
import { failureToOutcome } from '../failure-to-outcome.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import { bundle } from './bundle.ts';
import { capabilities } from './capabilities.ts';
import { conditionalDelete } from './conditional-delete.ts';
import { conditionalPatch } from './conditional-patch.ts';
import { conditionalUpdate } from './conditional-update.ts';
import { create } from './create.ts';
import { deleteResource } from './delete.ts';
import { historyInstance } from './history-instance.ts';
import { historySystem } from './history-system.ts';
import { historyType } from './history-type.ts';
import type { FhirServer, Interaction, Offered } from './interaction.ts';
import { operation } from './operation.ts';
import { patch } from './patch.ts';
import { read } from './read.ts';
import { searchCompartment } from './search-compartment.ts';
import { searchSystem } from './search-system.ts';
import { searchType } from './search-type.ts';
import { update } from './update.ts';
import { vread } from './vread.ts';

/**
 * R4 http.html#summary. `:type` and `:id` stand for any segment that does not begin with `_` or `$`. The first that fits is taken. The last column is what
 * the CapabilityStatement says of it: codes of R4 valueset-type-restful-interaction and valueset-system-restful-interaction, and the conditional ones.
 */
const ROUTES: readonly (readonly [method: string, path: string, run: Interaction, ...offers: string[]])[] = [
  ['GET', 'metadata', capabilities],
  ['GET', '$', operation],
  ['POST', '$', operation],
  ['GET', ':type/$', operation],
  ['POST', ':type/$', operation],
  ['GET', ':type/:id/$', operation],
  ['POST', ':type/:id/$', operation],
  ['GET', ':type', searchType, 'search-type'],
  ['POST', ':type/_search', searchType],
  ['GET', ':type/_history', historyType, 'history-type'],
  ['POST', ':type', create, 'create'],
  ['PUT', ':type', conditionalUpdate, 'conditional-update'],
  ['PATCH', ':type', conditionalPatch, 'conditional-patch'],
  ['DELETE', ':type', conditionalDelete, 'conditional-delete'],
  ['GET', ':type/:id', read, 'read'],
  ['PUT', ':type/:id', update, 'update'],
  ['PATCH', ':type/:id', patch, 'patch'],
  ['DELETE', ':type/:id', deleteResource, 'delete'],
  ['GET', ':type/:id/_history', historyInstance, 'history-instance'],
  ['GET', ':type/:id/_history/:vid', vread, 'vread'],
  ['GET', ':type/:id/:member', searchCompartment, 'search-compartment'],
  ['POST', ':type/:id/:member/_search', searchCompartment],
  ['GET', '', searchSystem, 'search-system'],
  ['POST', '_search', searchSystem],
  ['GET', '_history', historySystem, 'history-system'],
  ['POST', '', bundle, 'transaction', 'batch'],
];

/** What the routes offer, by the codes of the table. */
export const OFFERED: Offered = new Set(ROUTES.flatMap(([, , , ...offers]) => offers));

interface Route {
  readonly method: string;
  readonly segments: readonly string[];
  readonly run: Interaction;
}

/** By the number of segments: a request is held against a handful. */
const BY_LENGTH = Map.groupBy(
  ROUTES.map(([method, path, run]): Route => ({ method, segments: path === '' ? [] : path.split('/'), run })),
  ({ segments }) => segments.length,
);

/** Runs the interaction that the request asks for. Throws `fhir.not-found` when it asks for none. */
export async function runInteraction(request: FhirRequest, server: FhirServer): Promise<FhirAnswer> {
  // HEAD is GET without its body (R4 http.html#read); for a request of its own the door drops the body.
  const isHead = request.method === 'HEAD';
  const method = isHead ? 'GET' : request.method;
  const routes = BY_LENGTH.get(request.path.length) ?? [];
  const route = routes.find((one) => one.method === method && pathFits(one.segments, request.path));
  if (!route) return otherMethods(request, routes);
  const source = server.operations.sourceOf(request.path[0]);
  const answer = await (source ? source.answer({ ...request, method }) : route.run(request, server));
  return isHead && !request.sentAlone ? { ...answer, body: null } : answer;
}

/** 204 for OPTIONS, 405 for a method that the URL does not take, both with the methods it takes; nothing else is here. */
function otherMethods(request: FhirRequest, routes: readonly Route[]): FhirAnswer {
  const fits = routes.filter(({ segments }) => pathFits(segments, request.path));
  if (fits.length === 0) throw new Failure('fhir.not-found', 'There is no such interaction; see /metadata.');
  const methods = new Set(fits.map((one) => one.method));
  if (methods.has('GET')) methods.add('HEAD');
  const headers = { allow: [...methods, 'OPTIONS'].join(', ') };
  return request.method === 'OPTIONS'
    ? { status: 204, headers, body: null }
    : { status: 405, headers, body: NOT_HERE };
}

const NOT_HERE = JSON.stringify(
  failureToOutcome(
    new Failure(
      'fhir.unsupported',
      'This URL does not take this method; the header Allow names those that it takes.',
    ),
  ).outcome,
);

const pathFits = (segments: readonly string[], path: readonly string[]): boolean =>
  segments.every((segment, at) => segmentFits(segment, path[at] ?? ''));

function segmentFits(segment: string, given: string): boolean {
  if (segment === '$') return given.startsWith('$');
  // No type has this name: what is not GET is not taken there, rather than looked for.
  if (segment === ':type' && given === 'metadata') return false;
  if (segment.startsWith(':')) return given !== '' && !given.startsWith('$') && !given.startsWith('_');
  return segment === given;
}
