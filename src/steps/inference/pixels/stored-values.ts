import type { PixelImage } from './pixel-image.ts';

/** The values as the file stores them: no rescale, no window. Said in a manifest to make plain that this is meant. */
export const storedValues = (image: PixelImage): PixelImage => image;
