import type { Database } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import type { OperationRegistry } from '../operation-registry.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { GroupedWrites } from './grouped-writes.ts';

/** What an interaction works with. */
export interface FhirServer {
  readonly store: ResourceStore;
  readonly database: Database;
  /** Single creates and updates, which share transactions. */
  readonly writes: GroupedWrites;
  readonly operations: OperationRegistry;
  /** What the route table offers, for the CapabilityStatement. */
  readonly offered: Offered;
  /** Runs whatever interaction a request asks for: an entry of a Bundle is one. */
  interact(request: FhirRequest): Promise<FhirAnswer>;
}

/** Codes of interactions: `read`, `history-type`, `conditional-delete`. */
export type Offered = ReadonlySet<string>;

export type Interaction = (request: FhirRequest, server: FhirServer) => Promise<FhirAnswer>;

/** The type in the path. Throws `fhir.not-found`: a type that does not exist has no URL. */
export function typeOf(request: FhirRequest): string {
  const type = request.path[0] ?? '';
  if (definitions().resourceTypes.includes(type)) return type;
  throw new Failure('fhir.not-found', 'FHIR R4 has no resource type of this name.', {
    issues: [{ text: 'FHIR R4 has no resource type of this name.', type: 'not-supported' }],
  });
}

/** Type and id in the path. An id that cannot be one names nothing. */
export function typeAndIdOf(request: FhirRequest): { type: string; id: string } {
  const type = typeOf(request);
  const id = request.path[1] ?? '';
  if (!/^[A-Za-z0-9\-.]{1,64}$/.test(id))
    throw new Failure('fhir.not-found', 'There is no resource with this id.');
  return { type, id };
}
