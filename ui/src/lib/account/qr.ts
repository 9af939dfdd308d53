/** A text as the path of a QR code, in units of one module. */
import { encode } from "uqr";

export interface QrPath {
  /** Modules along one edge, with the quiet zone. */
  size: number;
  d: string;
}

/** Four modules of quiet zone, as the standard asks. */
const QUIET = 4;

export function qrPath(text: string): QrPath {
  const { data, size } = encode(text, { ecc: "M", border: QUIET });
  let d = "";
  data.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const from = x;
      while (row[x + 1]) x += 1;
      d += `M${from} ${y}h${x + 1 - from}v1h-${x + 1 - from}z`;
    }
  });
  return { size, d };
}
