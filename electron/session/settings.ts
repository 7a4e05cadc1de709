/**
 * What Tideline remembers between starts. The file is checked like any input: what does not fit its schema is forgotten, not obeyed.
 */
import { z } from "zod";
import { type LinkMeasurement, linkMeasurementSchema } from "../../core/link-measurement.ts";
import { MIB } from "../../core/units.ts";
import type { BackendSettings } from "./backend.ts";
import { openOwnFile } from "./own-file.ts";

const MAX_RECENTS = 12;
const MAX_LINKS = 64;

const bytes = z.number().int().positive().max(Number.MAX_SAFE_INTEGER);
const storedRecentSchema = z.object({ path: z.string().min(1), name: z.string(), parameters: z.number().optional() });
export type StoredRecent = z.infer<typeof storedRecentSchema>;

const storedLinkSchema = z.object({ name: z.string(), description: z.string(), link: linkMeasurementSchema });

interface DeviceIdentity {
  readonly name: string;
  readonly description: string;
}

/** Each field falls back by itself, so that one bad value does not cost the others. */
const storedSchema = z.object({
  device: z.string().min(1).catch("host"),
  capacityBytes: bytes.catch(256 * MIB),
  kvCacheBytes: bytes.catch(64 * MIB),
  samplingHertz: z.number().min(10).max(1000).catch(100),
  recents: z.array(storedRecentSchema).max(MAX_RECENTS).catch([]),
  /** What was measured of a device, newest first; one in another slot or with another card is another device. */
  links: z.array(storedLinkSchema).max(MAX_LINKS).catch([]),
});
type Stored = z.infer<typeof storedSchema>;

export interface Settings {
  readonly backend: BackendSettings;
  /** Newest first. */
  readonly recents: readonly StoredRecent[];
  saveBackend(settings: Partial<BackendSettings>): void;
  addRecent(recent: StoredRecent): void;
  forgetRecent(path: string): void;
  linkOf(device: DeviceIdentity): LinkMeasurement | undefined;
  saveLink(device: DeviceIdentity, link: LinkMeasurement): void;
}

/**
 * The settings of `directory`, or of the user's own configuration folder.
 * @throws TidelineError `bad_argument` naming the folder or file that cannot be made, read or written; so does saving.
 */
export function openSettings(directory?: string): Settings {
  const file = openOwnFile<Stored>("settings", directory);
  let stored = storedSchema.parse(file.stored);
  /** What another Tideline has saved since is kept. A file that cannot be read now is a matter of writing it. */
  const latestOr = (known: Stored): Stored => {
    try {
      return storedSchema.parse(file.stored);
    } catch {
      return known;
    }
  };
  const save = (change: (latest: Stored) => Partial<Stored>) => {
    const latest = latestOr(stored);
    stored = { ...latest, ...change(latest) };
    file.save(stored);
  };
  return {
    get backend() {
      const { recents: _, links: __, ...backend } = stored;
      return backend;
    },
    get recents() {
      return stored.recents;
    },
    saveBackend(settings) {
      save(() => settings);
    },
    addRecent(recent) {
      save(({ recents }) => ({
        recents: [recent, ...recents.filter(({ path }) => path !== recent.path)].slice(0, MAX_RECENTS),
      }));
    },
    forgetRecent(path) {
      save(({ recents }) => ({ recents: recents.filter((recent) => recent.path !== path) }));
    },
    linkOf(device) {
      return stored.links.find((known) => isSame(known, device))?.link;
    },
    saveLink({ name, description }, link) {
      save(({ links }) => {
        const others = links.filter((known) => !isSame(known, { name, description }));
        return { links: [{ name, description, link }, ...others].slice(0, MAX_LINKS) };
      });
    },
  };
}

function isSame(one: DeviceIdentity, other: DeviceIdentity): boolean {
  return one.name === other.name && one.description === other.description;
}
