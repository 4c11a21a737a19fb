// The pages are whole without this script. It writes times as this browser does, and brings in what other people change.
"use strict";

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function writeTimes(root) {
  for (const each of root.querySelectorAll("time[data-moment]")) {
    each.title = each.textContent;
    each.textContent = local.format(new Date(each.dateTime));
  }
}

function say(words) {
  const news = document.getElementById("news");
  news.textContent = words;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { news.textContent = ""; }, 8000);
}

// --- What somebody has typed and not sent ---

function fields(root) {
  return [...root.querySelectorAll("textarea, select, input:not([type=hidden])")];
}

function isChanged(field) {
  if (field.type === "radio" || field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.tagName === "SELECT") return [...field.options].some((each) => each.selected !== each.defaultSelected && each.value !== "");
  return field.value !== field.defaultValue;
}

function typed(root) {
  const texts = fields(root).filter((each) => !["radio", "checkbox"].includes(each.type) && each.tagName !== "SELECT");
  return texts.map((each) => each.value).filter((text) => text.trim() !== "");
}

function isInUse(form) {
  return form.contains(document.activeElement) || fields(form).some(isChanged);
}

function keep(main, texts) {
  const box = document.createElement("div");
  box.className = "alert";
  const heading = document.createElement("h2");
  heading.textContent = "What you had written";
  box.append(heading, ...texts.map((text) => {
    const shown = document.createElement("pre");
    shown.dir = "auto";
    shown.tabIndex = 0;
    shown.textContent = text;
    return shown;
  }));
  (main.querySelector(".question") ?? main).append(box);
}

// --- What other people change ---

async function refresh() {
  const reply = await fetch(location.href, { headers: { accept: "text/html" } });
  if (reply.status === 401) return signedOut();
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  const now = document.getElementById("main");
  const next = fresh.getElementById("main");
  if (next === null) return;
  const forms = [...now.querySelectorAll("form[method=post]")];
  const isOpen = next.querySelector("form.answer") !== null;
  const wasOpen = now.querySelector("form.answer") !== null;
  if (forms.some(isInUse) && (isOpen || !wasOpen)) return; // still open, and in use
  const kept = wasOpen ? forms.filter(isInUse).flatMap(typed) : [];
  const focused = document.activeElement?.closest?.("a[href]")?.getAttribute("href");
  writeTimes(next);
  now.replaceChildren(...next.childNodes);
  if (document.title !== fresh.title) {
    document.title = fresh.title;
    say(wasOpen ? "This question has changed." : "The page has changed.");
  }
  if (wasOpen && !isOpen) {
    say("This question is no longer open for you.");
    if (kept.length > 0) keep(now, kept);
    document.getElementById("main").focus();
  }
  if (focused) [...now.querySelectorAll("a[href]")].find((each) => each.getAttribute("href") === focused)?.focus();
}

// A note at the top, which leaves everything else on the page as it is.
function note(words, link) {
  document.getElementById("ended")?.remove();
  if (words === "") return;
  const box = document.createElement("div");
  box.className = "alert late";
  box.id = "ended";
  box.setAttribute("role", "alert");
  const text = document.createElement("p");
  text.textContent = words;
  box.append(text);
  if (link) {
    const sign = document.createElement("a");
    sign.href = link;
    sign.target = "_blank";
    sign.textContent = "Sign in (in a new tab)";
    box.append(sign);
  }
  document.getElementById("main").prepend(box);
}

function signedOut() {
  note("You are signed out. What you have typed stays here: sign in again in another tab, then go on.", main.dataset.signIn);
}

function follow(wasLost = false) {
  const source = new EventSource(main.dataset.live);
  let waiting;
  let isStale = false;
  const bringIn = () => {
    isStale = document.hidden; // nobody looks; it is brought in when somebody does
    if (!isStale) refresh().catch(() => {});
  };
  source.addEventListener("changed", () => {
    clearTimeout(waiting);
    waiting = setTimeout(bringIn, 100);
  });
  source.addEventListener("error", (event) => {
    wasLost = true;
    if (event.data || source.readyState === EventSource.CLOSED) {
      source.close();
      delete main.dataset.following;
      whyEnded(again).catch(() => note("This page does not change by itself any more. Reload it.", null));
    }
  });
  source.addEventListener("open", () => {
    main.dataset.following = "";
    note("", null);
    // A server that comes back has perhaps heard of changes that this page has not.
    if (wasLost) refresh().catch(() => {});
    wasLost = false;
  });
  const seen = () => {
    if (document.hidden) return;
    if (source.readyState === EventSource.CLOSED) again();
    else if (isStale) bringIn();
  };
  const again = () => {
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("focus", seen);
    follow(true);
  };
  document.addEventListener("visibilitychange", seen);
  addEventListener("focus", seen);
  addEventListener("pagehide", () => source.close());
}

// Why the server has ended the stream, which a stream that is refused does not tell.
async function whyEnded(again) {
  const reply = await fetch(main.dataset.live, { method: "HEAD" });
  if (reply.ok) setTimeout(again, 5000);
  else if (reply.status === 401) signedOut();
  else await refresh();
}

writeTimes(document);
document.getElementById("summary")?.focus();
const main = document.getElementById("main");
if (main.dataset.live) follow();
