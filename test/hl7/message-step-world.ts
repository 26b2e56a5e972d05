import type { Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import type { Database } from '../../src/database/database.ts';
import { loadDefinitions } from '../../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { OutboundMessageStore } from '../../src/steps/ris/outbound-message.store.ts';
import { RisDestinations } from '../../src/steps/ris/ris-destinations.ts';
import { RisMessageStep } from '../../src/steps/ris/ris-message.step.ts';
import { RisProfiles } from '../../src/steps/ris/ris-profiles.ts';
import { freshDatabase } from '../database.ts';

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** The step that makes messages, for one receiver that nobody is: what is stored is looked at, nothing is sent. */
export interface MessageStepWorld {
  readonly database: Database;
  readonly store: ResourceStore;
  readonly messages: OutboundMessageStore;
  readonly profiles: RisProfiles;
  readonly destinations: RisDestinations;
  readonly step: RisMessageStep;
  /** All in one transaction. */
  write(...resources: (Resource & { id: string })[]): Promise<unknown>;
}

/** For a spec: a world of its own, from before its first test to after its last. */
export function messageStepWorld(): MessageStepWorld {
  const world = {
    write: (...resources: (Resource & { id: string })[]) =>
      world.database.transaction((tx) =>
        world.store.write(
          tx,
          resources.map((resource) => ({ kind: 'update', resource })),
        ),
      ),
  } as MessageStepWorld;
  let close: (() => Promise<void>) | null = null;
  beforeAll(async () => {
    const fresh = await freshDatabase();
    ({ close } = fresh);
    await loadDefinitions();
    const { database } = fresh;
    const store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
    const [messages, profiles] = [new OutboundMessageStore(database), new RisProfiles(store)];
    const settings = readSettings({ RIS_URL: 'mllp://127.0.0.1:9' });
    const destinations = new RisDestinations(settings, profiles, SILENT);
    const step = new RisMessageStep(store, messages, destinations, new Outbox());
    Object.assign(world, { database, store, messages, profiles, destinations, step });
  });
  afterAll(() => close?.());
  return world;
}
