import { readFileSync } from 'node:fs';
import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Logger } from 'pino';
import { readTlsFiles, type TlsFiles } from '../../config/read-tls-files.ts';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { TlsKeeper } from '../../hl7/tls-keeper.ts';
import { Failure } from '../../kernel/errors.ts';
import { LOGGER } from '../../kernel/log.ts';
import { readDestinationFile } from './destination-file.ts';
import { RisDestination } from './ris-destination.ts';
import { RisProfiles } from './ris-profiles.ts';

export type RisSettings = Pick<
  Settings,
  | 'RIS_URL'
  | 'RIS_ACK_TIMEOUT_MS'
  | 'RIS_CONNECT_TIMEOUT_MS'
  | 'RIS_IDLE_MS'
  | 'RIS_TLS_CA'
  | 'RIS_TLS_CERT'
  | 'RIS_TLS_KEY'
  | 'RIS_PROFILE'
  | 'RIS_DESTINATIONS'
  | 'HL7_SENDING_APPLICATION'
  | 'HL7_SENDING_FACILITY'
  | 'HL7_RECEIVING_APPLICATION'
  | 'HL7_RECEIVING_FACILITY'
  | 'SITE_TIME_ZONE'
>;

/** Name of the profile of `RIS_URL`. */
export const RIS_PROFILE_NAME = 'ris';

/**
 * Every receiver of results: the one of `RIS_URL`, and those of the file of `RIS_DESTINATIONS`. Throws at start, with every fault named, when an address, a TLS
 * file or a profile cannot be used.
 */
@Injectable()
export class RisDestinations implements OnApplicationBootstrap, OnModuleDestroy {
  readonly all: readonly RisDestination[];
  private keepers: readonly TlsKeeper[] = [];

  constructor(
    @Inject(SETTINGS) settings: RisSettings,
    private readonly profiles: RisProfiles,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'info' | 'warn' | 'error'>,
  ) {
    const base = siteNames(settings);
    profiles.keep(RIS_PROFILE_NAME, profileFile(settings.RIS_PROFILE), base);
    const all = [...simpleDestination(settings, profiles)];
    if (settings.RIS_DESTINATIONS !== '') {
      for (const entry of readDestinationFile(settings.RIS_DESTINATIONS, base)) {
        profiles.keep(entry.profileName, entry.profile, base);
        const ackTimeoutMs = entry.ackTimeoutMs ?? settings.RIS_ACK_TIMEOUT_MS;
        all.push(
          new RisDestination({ ...entry, ...timesOf(settings), isNamed: true, ackTimeoutMs }, profiles),
        );
      }
    }
    this.all = all;
  }

  /** Null when no destination has this name. */
  named(name: string): RisDestination | null {
    return this.all.find((one) => one.name === name) ?? null;
  }

  /** The one of `RIS_URL`, or null. */
  get simple(): RisDestination | null {
    return this.all.find((one) => !one.isNamed) ?? null;
  }

  get profileNames(): readonly string[] {
    return this.profiles.names;
  }

  /** TLS files are looked at like those of the listener: new ones hold from the next message on. */
  onApplicationBootstrap(): void {
    this.keepers = this.all.flatMap((one) => {
      const { tls, tlsPlaces } = one.place;
      if (tls === null) return [];
      // What is wrong is said by these names: those of settings, or of the destination.
      const places = Object.entries(tlsPlaces).map(([part, file]) => [
        part.startsWith('_') ? `${one.name}${part}` : part,
        file,
      ]);
      return new TlsKeeper(Object.fromEntries(places), tls, (files) => one.renewTls(files), this.log);
    });
    for (const keeper of this.keepers) keeper.start();
  }

  onModuleDestroy(): void {
    for (const keeper of this.keepers) keeper.stop();
    for (const one of this.all) one.close();
  }
}

const siteNames = (settings: RisSettings): Readonly<Record<string, string>> => ({
  sendingApplication: settings.HL7_SENDING_APPLICATION,
  sendingFacility: settings.HL7_SENDING_FACILITY,
  receivingApplication: settings.HL7_RECEIVING_APPLICATION,
  receivingFacility: settings.HL7_RECEIVING_FACILITY,
  ...(settings.SITE_TIME_ZONE ? { timeZone: settings.SITE_TIME_ZONE } : {}),
});

function simpleDestination(settings: RisSettings, profiles: RisProfiles): RisDestination[] {
  const tls = simpleTls(settings);
  const { RIS_URL: url, RIS_ACK_TIMEOUT_MS: ackTimeoutMs } = settings;
  if (url === null) return [];
  const { RIS_TLS_CA, RIS_TLS_CERT, RIS_TLS_KEY } = settings;
  const tlsPlaces = { RIS_TLS_CA, RIS_TLS_CERT, RIS_TLS_KEY };
  const times = timesOf(settings);
  const place = { name: url.host, isNamed: false, url, ackTimeoutMs, ...times, tls, tlsPlaces, filter: {} };
  return [new RisDestination({ ...place, profileName: RIS_PROFILE_NAME }, profiles)];
}

const timesOf = ({ RIS_CONNECT_TIMEOUT_MS, RIS_IDLE_MS }: RisSettings) => ({
  connectTimeoutMs: RIS_CONNECT_TIMEOUT_MS,
  idleMs: RIS_IDLE_MS,
});

function simpleTls({ RIS_URL, RIS_TLS_CA, RIS_TLS_CERT, RIS_TLS_KEY }: RisSettings): TlsFiles | null {
  const files = readTlsFiles({ RIS_TLS_CA, RIS_TLS_CERT, RIS_TLS_KEY });
  if (files !== null && RIS_URL?.protocol !== 'mllps:') {
    const text = 'must begin with mllps:// when RIS_TLS_CA, RIS_TLS_CERT or RIS_TLS_KEY is given';
    throw new Failure('config.invalid', `RIS_URL ${text}; else results would travel in the clear.`, {
      issues: [{ at: 'RIS_URL', text }],
    });
  }
  return files;
}

/** What the file of `RIS_PROFILE` says, which goes before the settings of the same meaning; nothing when no file is named. */
function profileFile(path: string): Record<string, unknown> {
  if (path === '') return {};
  const profile = parsed(path);
  if (typeof profile === 'object' && profile !== null && !Array.isArray(profile)) return { ...profile };
  throw new Failure('config.invalid', 'RIS_PROFILE must name a file with one JSON object.', {
    issues: [{ at: 'RIS_PROFILE', text: 'must name a file with one JSON object' }],
  });
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
