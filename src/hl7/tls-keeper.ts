import type { Logger } from 'pino';
import { readTlsFiles, type TlsFiles } from '../config/read-tls-files.ts';
import { Failure } from '../kernel/errors.ts';
import { daysLeft, expiryWarning } from './certificate-days.ts';

/** How often the files are looked at; a signal (SIGHUP) makes it look at once. */
export const TLS_CHECK_MS = 30_000;

/**
 * Keeps TLS files under watch: hands on new ones while connections that are open go on, keeps the old ones while new ones are wrong (a copy
 * half written), and says 30, 7 and 1 days before a certificate runs out.
 */
export class TlsKeeper {
  private timer: NodeJS.Timeout | null = null;
  private wrong = '';
  private readonly warned = new Map<string, number>();

  constructor(
    /** Three settings and the files they name, as `readTlsFiles` takes them. */
    private readonly settings: Readonly<Record<string, string>>,
    private files: TlsFiles,
    private readonly onChange: (files: TlsFiles) => void,
    private readonly log: Pick<Logger, 'info' | 'warn' | 'error'>,
    private readonly now: () => Date = () => new Date(),
  ) {}

  start(everyMs = TLS_CHECK_MS): void {
    this.timer = setInterval(this.check, everyMs).unref();
    process.on('SIGHUP', this.check);
    this.check();
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
    process.off('SIGHUP', this.check);
  }

  /** Whole days until the first of the certificates runs out; null without one. */
  get daysLeft(): number | null {
    const all = [this.files.cert, this.files.ca].flatMap((pem) => {
      const days = pem === undefined ? null : daysLeft(pem, this.now());
      return days === null ? [] : [days];
    });
    return all.length === 0 ? null : Math.min(...all);
  }

  readonly check = (): void => {
    this.read();
    this.warn('CERT', this.files.cert);
    this.warn('CA', this.files.ca);
  };

  private read(): void {
    try {
      const files = readTlsFiles(this.settings);
      this.wrong = '';
      if (files === null || sameFiles(files, this.files)) return;
      this.files = files;
      this.warned.clear();
      this.onChange(files);
      this.log.info('TLS files were read anew; open connections go on');
    } catch (error) {
      const what = error instanceof Failure ? error.message : 'The TLS files cannot be used.';
      if (what !== this.wrong) this.log.error({ what }, 'TLS files are wrong; those read before stay in use');
      this.wrong = what;
    }
  }

  private warn(part: string, pem: string | undefined): void {
    const days = pem === undefined ? null : daysLeft(pem, this.now());
    const limit = days === null ? null : expiryWarning(days);
    if (limit === null || this.warned.get(part) === limit) return;
    this.warned.set(part, limit);
    const setting = Object.keys(this.settings).find((name) => name.endsWith(`_TLS_${part}`));
    if (limit === 0) this.log.error({ setting }, 'a TLS certificate has run out: replace its file');
    else this.log.warn({ setting, days }, 'a TLS certificate runs out soon: replace its file');
  }
}

function sameFiles(one: TlsFiles, other: TlsFiles): boolean {
  return one.cert === other.cert && one.key === other.key && one.ca === other.ca;
}
