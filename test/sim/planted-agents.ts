/** Faults that are put into what the emulator keeps of agents. */
import type { Planted } from './asked.ts';
import { along } from './planted.ts';

export const PLANTED_IN_AGENTS: Record<string, Planted> = {
  'the number of a release that was deleted comes again': along(`
    AFTER DELETE ON agent_version WHEN old.draft = 0
    BEGIN UPDATE agent SET last_version = COALESCE(
      (SELECT MAX(CAST(version AS INTEGER)) FROM agent_version WHERE agent = old.agent AND draft = 0), 0)
    WHERE name = old.agent; END`),

  'sessions move with the rules of their agent': along(`
    AFTER INSERT ON agent WHEN new.endpoint IS NOT NULL
    BEGIN UPDATE session SET version = COALESCE(
      (SELECT version FROM agent_version WHERE agent = new.name AND version = json_extract(
        new.endpoint, '$.version_selector.version_selection_rules[0].agent_version')), version)
    WHERE agent_key = new.key; END`),

  'one session of three begins on version 1, whatever has a share': along(`
    AFTER INSERT ON session WHEN new.seq % 3 = 0
    BEGIN UPDATE session SET version = '1' WHERE agent_key = new.agent_key AND id = new.id AND EXISTS (
      SELECT 1 FROM agent_version JOIN agent ON agent.name = agent
      WHERE agent.key = new.agent_key AND version = '1'); END`),

  'the life of a session is not renewed by a call': along(`
    AFTER UPDATE ON session WHEN new.last_accessed_at > old.last_accessed_at
    BEGIN UPDATE session SET last_accessed_at = old.last_accessed_at
    WHERE agent_key = new.agent_key AND id = new.id; END`),

  'a conversation keeps nothing after its third item': along(`
    AFTER INSERT ON conversation_item WHEN 3 < (
      SELECT COUNT(*) FROM conversation_item WHERE conversation = new.conversation)
    BEGIN DELETE FROM conversation_item WHERE conversation = new.conversation AND seq = new.seq; END`),

  'an agent that gets a version is enabled again': along(`
    AFTER INSERT ON agent_version
    BEGIN UPDATE agent SET state = 'enabled' WHERE name = new.agent; END`),

  'a version is ready a second late': along(`
    AFTER INSERT ON due WHEN new.kind = 'provisioned'
    BEGIN UPDATE due SET due_at = due_at + 1000 WHERE seq = new.seq AND due_at = new.due_at; END`),
};
