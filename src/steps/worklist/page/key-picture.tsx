import { useEffect, useState } from 'preact/hooks';
import { askServer, SignedOut } from '../../../browser/ask-server.ts';
import type { TabSession } from '../../../browser/tab-session.ts';
import type { WorklistRow } from '../worklist-row.ts';

interface KeyPictureProps {
  readonly row: WorklistRow;
  readonly session: TabSession;
  readonly onSignedOut: (why: SignedOut) => void;
}

type Picture =
  | { readonly kind: 'loading' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'shown'; readonly url: string };

/** The key picture, fetched as the reader and shown from memory: an <img> cannot send a token by itself. */
export function KeyPicture({ row, session, onSignedOut }: KeyPictureProps) {
  const [picture, setPicture] = useState<Picture>({ kind: 'loading' });
  const pictureId = row.picture?.id ?? null;

  useEffect(() => {
    setPicture({ kind: 'loading' });
    if (pictureId === null) return;
    const end = new AbortController();
    let url: string | null = null;
    fetchPicture(row.id, session, end.signal)
      .then((blob) => {
        if (end.signal.aborted) return;
        url = URL.createObjectURL(blob);
        setPicture({ kind: 'shown', url });
      })
      .catch((error: unknown) => {
        if (end.signal.aborted) return;
        if (error instanceof SignedOut) onSignedOut(error);
        else setPicture({ kind: 'failed' });
      });
    return () => {
      end.abort();
      if (url !== null) URL.revokeObjectURL(url);
    };
  }, [row.id, pictureId]);

  if (pictureId === null) return null;
  return (
    <figure class="picture">
      <div class="picture-box">
        {picture.kind === 'shown' && <img src={picture.url} alt={altOf(row)} />}
        {picture.kind === 'loading' && <p>Loading the key picture</p>}
        {picture.kind === 'failed' && <p>The key picture could not be loaded. Open the study in the PACS.</p>}
      </div>
      <figcaption>
        {row.picture?.title ?? 'Key picture'}, for orientation only. Lines on it are the model's. Read the
        study in the PACS.
      </figcaption>
    </figure>
  );
}

async function fetchPicture(rowId: string, session: TabSession, signal: AbortSignal): Promise<Blob> {
  const response = await askServer(session, `api/pictures/${encodeURIComponent(rowId)}`, { signal });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.blob();
}

const altOf = (row: WorklistRow) => `Key picture of the model for ${row.exam.description ?? 'the exam'}`;
