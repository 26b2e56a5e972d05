import type { IncomingMessage } from 'node:http';
import { Controller, Get, Inject, Param, Post, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseMediaTypes } from '../dicom/media-type.ts';
import { multipartBoundary, readMultipart } from '../dicom/read-multipart.ts';
import { isUid } from '../dicom/uid.ts';
import { Failure } from '../kernel/errors.ts';
import { ArchiveStore, type Place } from './archive.store.ts';
import { ArchiveFailureFilter } from './archive-failure.filter.ts';
import { ArchiveIntake } from './archive-intake.ts';
import type { Level } from './instance-record.ts';
import { negotiateInstances, negotiateJson } from './negotiate-representation.ts';
import { QidoStore } from './qido.store.ts';
import { parseQidoQuery } from './qido-query.ts';
import { stowAnswer } from './stow-answer.ts';
import { allStudies, type StudiesSeen } from './studies-seen.ts';
import { jsonArrayBody, multipartBody, singleBody } from './wado-body.ts';

/** Where the archive's files are and how others reach it. */
export interface ArchivePlace {
  readonly folder: string;
  /** Service root, without a trailing slash. */
  readonly root: string;
}

export const ARCHIVE_PLACE = Symbol('ArchivePlace');

/** One request: a study of 10,000 slices, an enhanced multi-frame of 2 GiB; larger studies come in several. */
export const STOW_LIMITS = {
  partsMax: 10_000,
  partBytesMax: 2 * 1024 ** 3,
  bodyBytesMax: 16 * 1024 ** 3,
} as const;

/** The DICOMweb service of the embedded archive: STOW-RS, QIDO-RS and WADO-RS (PS3.18 10.4 to 10.6), nothing else. */
@Controller('dicomweb')
@UseFilters(ArchiveFailureFilter)
export class ArchiveController {
  constructor(
    @Inject(ARCHIVE_PLACE) private readonly place: ArchivePlace,
    @Inject(ArchiveIntake) private readonly intake: ArchiveIntake,
    @Inject(ArchiveStore) private readonly store: ArchiveStore,
    @Inject(QidoStore) private readonly qido: QidoStore,
  ) {}

  @Post(['studies', 'studies/:study'])
  async storeInstances(
    @Req() request: FastifyRequest,
    @Param() path: UidPath,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const expected = path.study === undefined ? null : placeOf(path).studyInstanceUid;
    negotiateJson(request.headers.accept);
    const contentType = request.headers['content-type'] ?? '';
    const [media] = parseMediaTypes(contentType);
    const type = media?.parameters['type']?.toLowerCase() ?? 'application/dicom';
    if (media?.type !== 'multipart/related' || type !== 'application/dicom') {
      throw new Failure(
        'archive.media-type',
        'Store instances as multipart/related; type="application/dicom".',
      );
    }
    const boundary = multipartBoundary(contentType);
    // Not `for await` on the request itself: leaving it early would destroy the connection before the answer is sent.
    const body = (request.body as IncomingMessage).iterator({
      destroyOnReturn: false,
    }) as AsyncIterable<Buffer>;
    const outcomes = await this.intake.take(readMultipart(body, boundary, STOW_LIMITS), expected);
    const answer = stowAnswer(outcomes, this.place.root);
    await reply.status(answer.status).type(DICOM_JSON).send(JSON.stringify(answer.body));
  }

  @Get('studies')
  searchStudies(
    @Req() request: FastifyRequest,
    @Query() query: Parameters,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.search('study', {}, query, request, reply);
  }

  @Get(['series', 'studies/:study/series'])
  searchSeries(
    @Req() request: FastifyRequest,
    @Param() path: UidPath,
    @Query() query: Parameters,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.search('series', path, query, request, reply);
  }

  @Get(['instances', 'studies/:study/instances', 'studies/:study/series/:series/instances'])
  searchInstances(
    @Req() request: FastifyRequest,
    @Param() path: UidPath,
    @Query() query: Parameters,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.search('instance', path, query, request, reply);
  }

  @Get([
    'studies/:study/metadata',
    'studies/:study/series/:series/metadata',
    'studies/:study/series/:series/instances/:sop/metadata',
  ])
  async metadata(
    @Req() request: FastifyRequest,
    @Param() path: UidPath,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const place = placeOf(path);
    negotiateJson(request.headers.accept);
    if ((await this.store.files(place, studiesOf(request))).length === 0) throw notFound();
    await reply.type(DICOM_JSON).send(jsonArrayBody(this.store.metadata(place)));
  }

  @Get(['studies/:study', 'studies/:study/series/:series', 'studies/:study/series/:series/instances/:sop'])
  async retrieve(
    @Req() request: FastifyRequest,
    @Param() path: UidPath,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const files = await this.store.files(placeOf(path), studiesOf(request));
    const [first] = files;
    if (first === undefined) throw notFound();
    const syntaxes = new Set(files.map((file) => file.transferSyntaxUid));
    const form = negotiateInstances(request.headers.accept, syntaxes, files.length);
    const body =
      form === 'single' ? singleBody(this.place.folder, first) : multipartBody(this.place.folder, files);
    await reply.type(body.contentType).header('content-length', body.bytes).send(body.stream);
  }

  private async search(
    level: Level,
    path: UidPath,
    parameters: Parameters,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<void> {
    negotiateJson(request.headers.accept);
    const query = parseQidoQuery(
      level,
      {
        ...(path.study === undefined ? {} : { studyInstanceUid: path.study }),
        ...(path.series === undefined ? {} : { seriesInstanceUid: path.series }),
      },
      parameters,
    );
    const rows = await this.qido.search(query, this.place.root, studiesOf(request));
    if (query.ignored.length > 0) {
      void reply.header(
        'warning',
        `299 prelim "These parameters were not used: ${query.ignored.join(', ')}"`,
      );
    }
    if (rows.length === 0) await reply.status(204).send();
    else await reply.type(DICOM_JSON).send(JSON.stringify(rows));
  }
}

/** What the token check says of the caller; where there is none, as in a process without it, all. */
const studiesOf = (request: FastifyRequest): StudiesSeen =>
  (request as { readonly studies?: StudiesSeen }).studies ?? allStudies;

interface UidPath {
  readonly study?: string;
  readonly series?: string;
  readonly sop?: string;
}
type Parameters = Readonly<Record<string, unknown>>;

const DICOM_JSON = 'application/dicom+json';

/** The UIDs of a path, checked before anything else sees them. */
function placeOf(path: UidPath): Place {
  if (
    ![path.study, path.series, path.sop].every((uid) => uid === undefined || isUid(uid)) ||
    path.study === undefined
  ) {
    throw new Failure(
      'archive.bad-request',
      'A UID in the path has other characters than digits and dots, or more than 64.',
    );
  }
  return {
    studyInstanceUid: path.study,
    ...(path.series === undefined ? {} : { seriesInstanceUid: path.series }),
    ...(path.sop === undefined ? {} : { sopInstanceUid: path.sop }),
  };
}

function notFound(): Failure {
  return new Failure('archive.not-found', 'The archive has no such study, series or instance.');
}
