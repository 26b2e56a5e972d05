import { Body, Controller, HttpCode, Inject, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { accessOfGrant } from '../fhir/access-context.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import { administers } from './grant.ts';
import { LAUNCH_LIFETIME_S, LaunchStore } from './oauth/launch.store.ts';
import type { LaunchContext } from './oauth/request.store.ts';
import { isFhirUser } from './outside/read-claims.ts';
import type {} from './require-token.ts';

const ID = /^[A-Za-z0-9.-]{1,64}$/;

/** Where an EHR announces a launch: it gets a handle that it puts beside `iss` in the address it opens (SMART App Launch 2.2 "EHR launch"). */
@Controller('auth')
export class LaunchController {
  constructor(
    @Inject(LaunchStore) private readonly launches: LaunchStore,
    @Inject(ResourceStore) private readonly store: ResourceStore,
  ) {}

  /** `{patient, encounter, fhirUser, client_id}`, all of them optional: the context, and who alone may use it. */
  @Post('launch')
  @HttpCode(201)
  async launch(@Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const { grant } = request;
    if (!grant || !(administers(grant) || grant.roles.includes('integrator')))
      throw new Failure('auth.scope', 'A launch is announced with a token that has the role integrator.');
    const context = readLaunch(body);
    const access = accessOfGrant(grant);
    for (const [type, id] of [
      ['Patient', context.patient],
      ['Encounter', context.encounter],
    ] as const) {
      const stored = id === undefined ? undefined : await this.store.read(type, id, undefined, access);
      if (stored === null || stored?.deleted)
        throw new Failure('http.bad-request', `There is no such ${type} that this token may read.`);
    }
    return { launch: await this.launches.open(context), iss: this.store.base, expires_in: LAUNCH_LIFETIME_S };
  }
}

function readLaunch(body: unknown): LaunchContext {
  const { patient, encounter, fhirUser, client_id: clientId } = (body ?? {}) as Record<string, unknown>;
  const ids = [patient, encounter].every((id) => id === undefined || (typeof id === 'string' && ID.test(id)));
  const others = clientId === undefined || typeof clientId === 'string';
  if (!ids || !others || (fhirUser !== undefined && !isFhirUser(fhirUser)))
    throw new Failure(
      'http.bad-request',
      'A launch is {"patient", "encounter", "fhirUser", "client_id"}: logical ids, a reference such as Practitioner/1, a client id.',
    );
  return {
    ...(patient === undefined ? {} : { patient: String(patient) }),
    ...(encounter === undefined ? {} : { encounter: String(encounter) }),
    ...(fhirUser === undefined ? {} : { fhirUser: String(fhirUser) }),
    ...(clientId === undefined ? {} : { clientId: String(clientId) }),
  };
}
