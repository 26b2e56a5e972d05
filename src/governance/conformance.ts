import { Injectable } from '@nestjs/common';
import type { Transaction } from '../database/database.ts';
import { jsonNumber, jsonString } from '../dicom/json-values.ts';
import { isLocalizerImage, splitFrames } from '../dicom/split-frames.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { stableId } from '../kernel/stable-id.ts';
import { ConformanceStore } from './conformance.store.ts';
import { OTHER_SCANNER, type Scanner, scannerOf, scannerToDevice } from './conformance-scanner.ts';
import { ProtocolLibrary } from './protocol-library.ts';
import { judgeProtocol, type ParameterResult } from './protocols/judge-protocol.ts';
import { matchProtocol } from './protocols/match-protocol.ts';
import type { ImagingProtocol } from './protocols/protocol.ts';

/** What the protocols of the site say to a study. Compared outside any transaction; kept by `keep`. */
export interface JudgedStudy {
  readonly studyInstanceUid: string;
  /** One per protocol that is meant for a series of the study: of its series the one that comes nearest. */
  readonly protocols: readonly JudgedSeries[];
  /** How images of the study deviate from the protocol meant for them; null when they do not, or none is meant for them. */
  deviationOf(images: readonly DicomJson[]): Deviation | null;
}

export interface JudgedSeries {
  readonly protocol: ImagingProtocol;
  readonly scanner: Scanner | null;
  readonly images: number;
  readonly results: readonly ParameterResult[];
}

export interface Deviation {
  readonly observed: string;
  readonly required: string;
  /** Nothing contradicts the protocol, but the images do not say all of it. */
  readonly onlyMissing: boolean;
}

/** Compares studies with the imaging protocols of the site, and keeps who conforms. */
@Injectable()
export class Conformance {
  /** Scanners whose Device is written already. */
  private readonly known = new Set<string>();

  constructor(
    private readonly library: ProtocolLibrary,
    private readonly rows: ConformanceStore,
    private readonly store: ResourceStore,
  ) {}

  async judge(studyInstanceUid: string, instances: readonly DicomJson[]): Promise<JudgedStudy> {
    const protocols = await this.library.active();
    return {
      studyInstanceUid,
      protocols: protocols.length === 0 ? [] : judgeStudy(instances, protocols),
      deviationOf: (images) => deviationOf(images, protocols),
    };
  }

  /** The study's rows; again for the same study, its rows as they are now. */
  async keep(tx: Transaction, { studyInstanceUid, protocols }: JudgedStudy, at: Date): Promise<void> {
    const studyKey = stableId('study', studyInstanceUid);
    for (const { protocol, scanner, results } of protocols) {
      const inState = (state: ParameterResult['state']) =>
        results.filter((result) => result.state === state).map(({ parameter }) => parameter);
      await this.rows.putConformance(tx, {
        studyKey,
        protocol: protocol.id,
        version: protocol.version,
        at,
        scanner: await this.keepScanner(tx, scanner, at),
        deviations: inState('deviates'),
        notStated: inState('not-stated'),
      });
    }
  }

  /** The id under which the scanner is counted; its Device is there from now on. */
  async keepScanner(tx: Transaction, scanner: Scanner | null, at: Date): Promise<string> {
    if (scanner === null) return OTHER_SCANNER;
    if (this.known.has(scanner.id)) return scanner.id;
    if (!(await this.rows.addScanner(tx, scanner.id, at))) return OTHER_SCANNER;
    const there = await this.store.read('Device', scanner.id, tx);
    // A Device that is there, or that somebody deleted, is the site's.
    if (there === null)
      await this.store.write(tx, [{ kind: 'update', resource: scannerToDevice(scanner), unchanged: 'skip' }]);
    tx.afterCommit(() => this.known.add(scanner.id));
    return scanner.id;
  }
}

/** Series by series, without localizers and what holds no images. */
function judgeStudy(
  instances: readonly DicomJson[],
  protocols: readonly ImagingProtocol[],
): readonly JudgedSeries[] {
  const images = instances
    .filter((one) => (jsonNumber(one, '00280010') ?? 0) > 0)
    .flatMap(splitFrames)
    .filter((one) => !isLocalizerImage(one));
  const best = new Map<string, JudgedSeries>();
  for (const series of Map.groupBy(images, (one) => jsonString(one, '0020000E') ?? '').values()) {
    const protocol = matchProtocol(series, protocols);
    if (protocol === null) continue;
    const judged: JudgedSeries = {
      protocol,
      scanner: scannerOf(series[0] ?? {}),
      images: series.length,
      results: judgeProtocol(series, protocol),
    };
    const other = best.get(protocol.id);
    if (other === undefined || isNearer(judged, other)) best.set(protocol.id, judged);
  }
  return [...best.values()];
}

function isNearer(a: JudgedSeries, b: JudgedSeries): boolean {
  const rank = ({ results, images }: JudgedSeries) => [
    results.filter(({ state }) => state === 'deviates').length,
    results.filter(({ state }) => state === 'not-stated').length,
    -images,
  ];
  const [left, right] = [rank(a), rank(b)];
  const at = left.findIndex((value, i) => value !== right[i]);
  return at >= 0 && (left[at] ?? 0) < (right[at] ?? 0);
}

function deviationOf(
  instances: readonly DicomJson[],
  protocols: readonly ImagingProtocol[],
): Deviation | null {
  if (protocols.length === 0) return null;
  const images = instances.flatMap(splitFrames);
  const protocol = matchProtocol(images, protocols);
  if (protocol === null) return null;
  const open = judgeProtocol(images, protocol).filter(({ state }) => state !== 'met');
  const wrong = open.filter(({ state }) => state === 'deviates');
  const told = wrong.length > 0 ? wrong : open;
  if (told.length === 0) return null;
  return {
    observed: told.map(({ observed }) => observed).join(', '),
    required: `${told.map(({ required }) => required).join(', ')} (${protocol.id} ${protocol.version})`,
    onlyMissing: wrong.length === 0,
  };
}
