// The page of an alert, and the list of open ones: a client of the public API, with a key that only this page's memory has.
"use strict";

(() => {
  const EVERY_MS = 15000;
  const NO_SUCH = "There is no such alert of this key's merchant.";
  const ALERT = `id kind severity state platform eventName title message details note openedAt lastSeenAt acknowledgedAt
    resolvedAt snoozedUntil`;
  const ONE = `query($id: ID!) { node(id: $id) { ... on Alert { ${ALERT} } } }`;
  const OPEN = `{ alerts(first: 50, filter: {state: OPEN}) { edges { node { ${ALERT} } } pageInfo { hasNextPage } } }`;
  const ACKNOWLEDGE = `mutation($id: ID!, $note: String) { acknowledgeAlert(id: $id, note: $note) {
    alert { ${ALERT} } userErrors { message } } }`;
  const SNOOZE = `mutation($id: ID!, $until: DateTime) { snoozeAlert(id: $id, until: $until) {
    alert { ${ALERT} } userErrors { message } } }`;

  const at = (id) => document.getElementById(id);
  let key = null;
  let timer = null;
  let turn = 0; // of what is shown: an answer that comes after another one was asked for is not shown

  class Trouble extends Error {}

  async function ask(query, variables) {
    let response;
    try {
      response = await fetch("/graphql", {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
        body: JSON.stringify({ query, variables }),
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
      });
    } catch {
      throw new Trouble("TrackLayer cannot be reached. It is tried again in 15 seconds.");
    }
    let answer = null;
    try {
      answer = await response.json();
    } catch {
      throw new Trouble(`TrackLayer answered ${response.status}. It is tried again in 15 seconds.`);
    }
    const error = answer && answer.errors && answer.errors[0];
    if (error) {
      const code = error.extensions && error.extensions.code;
      if (code === "UNAUTHENTICATED") {
        forget();
        throw new Trouble("This API key is not known, or was revoked. Give another one.");
      }
      if (code === "FORBIDDEN") {
        throw new Trouble("This API key may not do that: reading needs the scope READ, changing an alert ADMIN.");
      }
      throw new Trouble(error.message);
    }
    return answer.data;
  }

  function forget() {
    key = null;
    clearTimeout(timer);
    at("sign-in").hidden = false;
    at("list").hidden = true;
    at("alert").hidden = true;
  }

  function tell(text, wrong) {
    const status = at("status");
    status.textContent = text;
    status.className = wrong ? "status wrong" : "status";
  }

  function wanted() {
    const found = /^\/notifications\/([^/]+)$/.exec(location.pathname);
    if (!found) return null;
    try {
      return decodeURIComponent(found[1]);
    } catch {
      throw new Trouble(NO_SUCH);
    }
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function instant(value) {
    return new Date(value).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  }

  function words(name) {
    const text = name.replace(/_/g, " ").toLowerCase();
    return text.charAt(0).toUpperCase() + text.slice(1);
  }

  function said(alert) {
    const parts = [`Open since ${instant(alert.openedAt)}.`];
    if (alert.resolvedAt) parts.push(`Resolved ${instant(alert.resolvedAt)}.`);
    else parts.push(`Last seen ${instant(alert.lastSeenAt)}.`);
    if (alert.acknowledgedAt) parts.push(`Acknowledged ${instant(alert.acknowledgedAt)}.`);
    if (isAsleep(alert)) parts.push(`Snoozed until ${instant(alert.snoozedUntil)}.`);
    return parts.join(" ");
  }

  function isAsleep(alert) {
    return Boolean(alert.snoozedUntil) && new Date(alert.snoozedUntil) > new Date();
  }

  function tags(alert) {
    const found = [alert.state, alert.severity, alert.kind].map(words);
    if (alert.platform) found.push(alert.platform === "GA4" ? "GA4" : words(alert.platform));
    if (alert.eventName) found.push(alert.eventName);
    return found.map((word) => element("span", word, "tag"));
  }

  function showAlert(alert) {
    at("title").textContent = alert.title;
    document.title = `${alert.title} · TrackLayer`;
    at("tags").replaceChildren(...tags(alert));
    at("message").textContent = alert.message;
    at("since").textContent = said(alert);
    at("note").textContent = alert.note ? `Note: ${alert.note}` : "";
    const rows = [];
    for (const [name, value] of Object.entries(alert.details || {})) {
      if (value === null) continue;
      rows.push(element("dt", words(name)));
      rows.push(element("dd", typeof value === "object" ? JSON.stringify(value) : String(value)));
    }
    at("figures").replaceChildren(...rows);
    at("snooze").hidden = alert.state !== "OPEN";
    at("wake").hidden = !isAsleep(alert);
    at("list").hidden = true;
    at("alert").hidden = false;
  }

  function showList(alerts, isCut) {
    document.title = "Notifications · TrackLayer";
    const items = alerts.map((alert) => {
      const item = element("li");
      const link = element("a", alert.title);
      const path = `/notifications/${encodeURIComponent(alert.id)}`;
      link.setAttribute("href", path);
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
        event.preventDefault(); // a page that is loaded anew would ask for the key again
        go(path);
      });
      item.append(...tags(alert), element("br"), link, element("div", said(alert)));
      return item;
    });
    at("alerts").replaceChildren(...items);
    at("none").textContent = alerts.length ? (isCut ? "These are the last 50; there are more." : "") : "No alert is open.";
    at("alert").hidden = true;
    at("list").hidden = false;
  }

  function go(path) {
    history.pushState(null, "", path);
    at("alert").hidden = true;
    at("list").hidden = true;
    at("new-note").value = "";
    tell("Loading…");
    refresh().then(() => at("content").focus());
  }

  async function refresh() {
    if (key === null) return;
    clearTimeout(timer);
    const mine = ++turn;
    try {
      const id = wanted();
      const data = await ask(id === null ? OPEN : ONE, { id });
      if (mine !== turn) return;
      if (id === null) {
        showList(data.alerts.edges.map((edge) => edge.node), data.alerts.pageInfo.hasNextPage);
      } else if (data.node && data.node.title !== undefined) {
        showAlert(data.node);
      } else {
        throw new Trouble(NO_SUCH);
      }
      at("sign-in").hidden = true;
      tell(`As of ${instant(Date.now())}; looked at every 15 seconds.`);
    } catch (error) {
      if (mine !== turn) return;
      tell(error instanceof Trouble ? error.message : "This page has a fault.", true);
    } finally {
      if (mine === turn && key !== null) timer = setTimeout(refresh, EVERY_MS);
    }
  }

  async function change(query, field, variables, done) {
    const buttons = ["acknowledge-now", "snooze-now", "wake"].map(at);
    for (const button of buttons) button.disabled = true;
    turn++; // a look that is under way is older than what is changed now
    clearTimeout(timer);
    try {
      const payload = (await ask(query, variables))[field];
      if (payload.userErrors.length) throw new Trouble(payload.userErrors[0].message);
      showAlert(payload.alert);
      tell(done);
    } catch (error) {
      tell(error instanceof Trouble ? error.message : "This page has a fault.", true);
    } finally {
      for (const button of buttons) button.disabled = false;
      if (key !== null) timer = setTimeout(refresh, EVERY_MS);
    }
  }

  at("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    key = at("key").value.trim();
    at("key").value = "";
    if (!/^[\x21-\x7e]+$/.test(key)) {
      key = null;
      tell("An API key is one word that begins with tl_.", true);
      return;
    }
    tell("Loading…");
    refresh().then(() => at("content").focus());
  });
  at("acknowledge").addEventListener("submit", (event) => {
    event.preventDefault();
    const note = at("new-note").value;
    change(ACKNOWLEDGE, "acknowledgeAlert", { id: wanted(), note: note.trim() ? note : null }, "It is acknowledged.").then(
      () => {
        at("new-note").value = "";
      },
    );
  });
  at("snooze").addEventListener("submit", (event) => {
    event.preventDefault();
    const until = new Date(Date.now() + Number(at("hours").value) * 3600000).toISOString();
    change(SNOOZE, "snoozeAlert", { id: wanted(), until }, "It is snoozed.");
  });
  at("wake").addEventListener("click", () => {
    change(SNOOZE, "snoozeAlert", { id: wanted(), until: null }, "It is awake.");
  });
  at("all").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go("/notifications");
  });
  addEventListener("popstate", refresh);
  at("sign-in").hidden = false;
  at("key").focus();
})();
