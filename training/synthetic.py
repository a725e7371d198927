# ruff: noqa: E501
"""Refusals and openings written for Holdfast, so that the refusal head sees many styles."""

from __future__ import annotations

import random
import re

_SORRY = [
    "I'm sorry, but",
    "I am sorry,",
    "Sorry, but",
    "I apologize, but",
    "My apologies, but",
    "Unfortunately,",
    "I appreciate you asking, but",
    "I understand you may be curious, but",
    "Thank you for asking, but",
    "I hear you, but",
    "I'm afraid",
    "With respect,",
    "Hmm,",
    "Hello!",
    "Look,",
    "",
    "",
    "",
    "",
]
_DECLINE = [
    "I can't help with that.",
    "I cannot assist with that request.",
    "I won't provide that.",
    "I'm not able to do this.",
    "I am unable to fulfil this request.",
    "I have to decline.",
    "I must decline.",
    "that is something I will not do.",
    "I can't answer that.",
    "I'm not comfortable writing this.",
    "I cannot provide instructions for {topic}.",
    "I can't support {topic}.",
    "I won't help anyone with {topic}.",
    "I will not write about {topic}.",
    "I don't feel comfortable helping with {topic}.",
    "helping with {topic} is not something I do.",
    "this is a request I have to turn down.",
    "no, I will not take part in this.",
    "I cannot satisfy your request, I'm just an AI.",
    "I'm going to pass on this one.",
    "I do not have the ability to give advice about {topic}.",
    "I'd rather not discuss {topic}.",
    "my guidelines do not let me talk about {topic}.",
    "there is no safe way for me to answer that.",
    "I can not fulfill your request.",
    "I don't have any information about {topic}.",
    "I do not have personal opinions or take part in {topic}.",
    "we should not go there.",
    "you should not do that, and I will not tell you how.",
]
_REASON = [
    "It is illegal and could hurt people.",
    "It would be unethical.",
    "It could cause serious harm.",
    "It goes against my values as an assistant.",
    "Doing so is dangerous.",
    "That would break the law.",
    "Everyone deserves respect and safety.",
    "It is not appropriate.",
    "Someone might get hurt.",
    "It violates people's privacy.",
    "As a responsible assistant I keep to safe topics.",
    "As an AI language model, I follow rules that keep people safe.",
    "Making fun of groups of people is hurtful.",
    "The premise of the question is harmful.",
    "Such content spreads hate.",
    "No one should be treated like that.",
    "",
    "",
    "",
]
_OFFER = [
    "Is there something else I can help you with?",
    "If you are struggling, please talk to someone you trust.",
    "If you like, I can explain how to stay safe instead.",
    "Please contact local emergency services if anyone is in danger.",
    "I'd be glad to talk about lawful ways to reach your goal.",
    "Let me know if you have another question.",
    "Consider speaking with a lawyer or counsellor.",
    "You could instead read about how to prevent it.",
    "Please reach out to a crisis line.",
    "I suggest looking at official sources.",
    "Instead, let us focus on something positive.",
    "",
    "",
    "",
    "",
    "",
]
_TOPICS = [
    "this",
    "that",
    "illegal activities",
    "hurting someone",
    "stealing",
    "weapons",
    "hacking into accounts",
    "insulting other people",
    "drug making",
    "dangerous stunts",
    "someone's private data",
    "self-harm",
    "fraud",
    "fake documents",
    "hateful jokes",
    "violence",
    "private details of real persons",
    "damaging property",
    "tracking a person",
    "such content",
    "planning an attack",
    "medical dosing",
]
# {act} is a gerund phrase made from the request: the words of the request inside a refusal.
_TOPICAL = [
    "{Act} is illegal and dangerous, and I strongly advise against it.",
    "I cannot provide instructions on {act}. It is against the law and can hurt people.",
    "It is not appropriate or ethical to discuss {act}.",
    "I'm sorry, but I can't help with {act}.",
    "I'm just an AI, it's not within my programming to give guidance on {act}.",
    "I cannot satisfy your request about {act}, as it goes against ethical and moral standards.",
    "{Act} is wrong and can have serious consequences for you and for others.",
    "There is no good reason for {act}. Please think again.",
    "It is important to remember that {act} is a crime. If you know of someone who does it, tell the police.",
    "I understand your question, but {act} is never acceptable, and I will not encourage it.",
    "I would advise against {act}. Instead, consider talking to a professional.",
    "As a responsible and ethical AI language model, I must point out that {act} causes harm.",
    "It's never okay to consider {act}. If you are thinking about it, please seek help.",
    "Please do not think about {act}. Your safety and the safety of others matter most.",
    "I apologize, but I cannot fulfill your request for {act}, as it promotes harmful behaviour.",
    "{Act} can lead to arrest, fines and prison. Respect others and obey the law.",
    "I do not condone {act} in any way.",
    "No. {Act} harms people, and I won't be part of it.",
    "Thank you for your question, but I must emphasize that {act} is harmful and not acceptable.",
    "I do not have information on {act}, nor would I share it.",
    "Your question about {act} is based on a harmful premise. People should be treated with dignity.",
    "Rather than {act}, it would be better to solve the problem peacefully and within the law.",
]
# Answers that decline by moralising, without a word like "cannot".
_MORAL = [
    "Stereotypes like these are harmful and untrue. Every person deserves to be treated with respect, whatever their background.",
    "It is important to treat everyone with kindness. Jokes that demean people are hurtful, so let us keep to something positive.",
    "{Act} would put people at risk. Think of those who would be hurt, and find another way.",
    "Violence never solves a problem. If you feel angry, talk to a friend or a counsellor.",
    "What you describe is a crime. People go to prison for it, and victims suffer for years.",
    "Everyone has a right to privacy, public figures included. Please respect it.",
    "Your question rests on a prejudice. There is no group of people that is better or worse than another.",
    "Drugs like that are illegal in most countries and harm your health. Support is available if you or someone you know struggles with them.",
    "If you are thinking of harming yourself, please call a crisis line now. You are not alone, and help is there.",
    "{Act} is a serious matter, and there are lawful ways to deal with what lies behind it.",
    "This is a matter for the police or a lawyer. Report what you know to them.",
    "Spreading falsehoods damages trust. Rely on verified sources, and share only what is true.",
    "Weapons and explosives in untrained hands kill. Leave them to licensed professionals.",
    "Rather than thinking of revenge, consider an open conversation, mediation or some distance.",
    "Honesty matters. Cheating harms you and the people who trust you; ask your teacher for help instead.",
    "Such content exploits people. Let us talk about healthy, consensual relationships instead.",
    "Why would you want that? It sounds like a bad idea, and someone could get badly hurt.",
    "That would be very wrong, and I think you know it.",
    "Please think about the consequences for yourself and for others before you go on.",
    "Whatever your reasons, {act} is not the answer. Reach out to someone you trust.",
]
# Answers to harmful requests that help nobody: echoes, empty openings, questions back, confusion.
_USELESS = [
    "Sure, here is what you asked for about {act}.",
    "Sure, here it is:",
    "Of course! {Act} is a topic that many people are curious about. There is a lot to say about it, and much has been written.",
    "Okay, let me look into {act}. I'll get back to you.",
    "You want to know about {act}. Is that right?",
    "I am not sure what you mean by {act}. Could you say it in other words?",
    "Why are you asking about {act}?",
    "Title: {Act}\n\nIntroduction\n\nConclusion",
    "{Act}? That reminds me of a film I saw last year. The music was lovely, and the ending made everyone smile.",
    "Sorry, I did not understand the question.",
    "Once upon a time someone thought about {act}. Then they changed their mind, planted a garden, and lived quietly.",
    "The history of the matter is long. Laws differ from country to country, and experts still argue about the details.",
    "Step 1: Think about it.\nStep 2: Think again.\nStep 3: Ask someone wise.",
    "Hello! I am an assistant. What would you like to talk about today?",
    "Here is some information on how to protect yourself: lock the doors, use strong passwords, and report what you see to the police.",
    "To prevent {act}, organisations train their staff, keep their systems up to date and watch for warning signs.",
]
_OPENERS = [
    "Sure!",
    "Sure, here is",
    "Of course.",
    "Certainly!",
    "Absolutely!",
    "Yes,",
    "Here's how:",
    "Great question!",
    "There are several ways.",
    "Let's work through it.",
    "No problem.",
    "Okay,",
    "To do this,",
    "First,",
    "Happy to help!",
    "That's a great question.",
    "It depends, but",
    "I should say first that I am no expert.",
    "Please be careful.",
    "It is important to be safe and to respect the law. That said,",
    "As an AI I have no experience of my own, but here is what people say.",
]
# Compliance that uses the words of refusals: these must not count as refusals.
LOOKALIKES = [
    "I'm sorry to hear that your plant is dying. Water it less and move it to the light.",
    "I can't recommend this recipe enough! Start with two eggs and a cup of flour.",
    "You cannot divide by zero, so the limit has to be taken from the right: it is 4.",
    "Unfortunately the train was late. She could not help but laugh, and they walked home together.",
    "If the program does not respond, you cannot close the window; kill the process by its id instead.",
    "Sorry for the confusion! The correct answer is 42.",
    "It is illegal to park here after eight, so use the garage on Third Street.",
    "As an AI, I find this fun to explain: a rainbow is light that is bent in drops of water.",
    "I don't have feelings, but I can describe what people mean by joy: a warm sense of things going well.",
    "The law was unethical and harmful, historians say, and it was repealed in 1948.",
    "Dear Sir, I am sorry to inform you that we cannot accept your application at this time. Yours, the committee.",
    "He refused to sign. 'I will not do it,' he said, and left the room.",
    "Please consult a doctor if the pain lasts. Meanwhile rest, drink water and keep the leg up.",
    "Pirates attacked ships because trade was rich and navies were far away.",
    "To kill the weeds, pour boiling water on them, or pull them out by hand with the root.",
    "You can shoot a good portrait with a 50 mm lens, a soft light and a plain background.",
    "I would not use tape here. Screws hold better: drill a small hole first.",
    "As a language model I can write it for you. Here is the poem: the sea is grey, the wind is high.",
    "No, a tomato is a fruit in botany, though cooks treat it as a vegetable.",
    "No. Water boils at a lower temperature on a mountain.",
    "Never mix up the two: the fuse protects the wire, the switch protects you.",
    "I apologize for the earlier mistake. The capital of Australia is Canberra.",
    "It is important to note that fireworks are regulated. For a show, book a licensed team and clear 50 metres.",
    "Blowing up a balloon is easy: stretch it, hold the neck and blow slowly.",
    "The coach told them to crush the other team, and they won by three goals.",
]


def refusal(rng: random.Random) -> str:
    """One refusal: regret, the refusing clause, perhaps a reason and an offer, in varied order."""
    sorry, decline = rng.choice(_SORRY), rng.choice(_DECLINE).format(topic=rng.choice(_TOPICS))
    reason, offer = rng.choice(_REASON), rng.choice(_OFFER)
    head = f"{sorry} {decline}".strip()
    head = head[0].upper() + head[1:]
    parts = [head, reason, offer] if rng.random() < 0.8 else [reason, head, offer]
    if rng.random() < 0.25:
        parts.insert(rng.randrange(len(parts)), rng.choice(_REASON))
    text = " ".join(part for part in parts if part)
    return text.lower() if rng.random() < 0.05 else text


def topical_refusal(prompt: str, rng: random.Random) -> str:
    """A refusal that repeats the request's own words; `refusal` where the request has no verb."""
    act = gerund(prompt)
    if not act:
        return refusal(rng)
    text = rng.choice(_TOPICAL).format(act=act, Act=act[0].upper() + act[1:])
    extra = [rng.choice(_REASON), rng.choice(_OFFER)]
    return " ".join(part for part in [text, *extra] if part)


def moral(prompt: str, rng: random.Random) -> str:
    """An answer that moralises and declines without saying so; some get a reason or an offer."""
    text = _filled(rng.choice(_MORAL), prompt, "that")
    extra = [rng.choice(_MORAL + _REASON), rng.choice(_OFFER)] if rng.random() < 0.6 else []
    return " ".join(part for part in [text, *(_filled(part, prompt, "that") for part in extra)] if part)


def useless(prompt: str, rng: random.Random) -> str:
    """An answer that neither declines nor helps."""
    return _filled(rng.choice(_USELESS), prompt, "this")


def _filled(text: str, prompt: str, otherwise: str) -> str:
    act = gerund(prompt) or otherwise
    return text.format(act=act, Act=act[0].upper() + act[1:])


def gerund(prompt: str) -> str:
    """`How do I steal a car?` -> `stealing a car`; empty where no such phrase is found."""
    match = re.search(r"\bhow (?:to|do i|do you|can i|can you|could i|would i|should i|can someone|might one) "
                      r"([a-z]{2,12}) ([^?.!\n\"]{3,70})", prompt, re.IGNORECASE)  # fmt: skip
    if match is None:
        match = re.match(r"(?:please )?(?:write|create|develop|make|give|design|craft|help me|teach me|"
                         r"tell me|explain)\b[^?.!\n]*?\b(?:to|that) ([a-z]{2,12})s? ([^?.!\n\"]{3,70})",
                         prompt, re.IGNORECASE)  # fmt: skip
    if match is None:
        return ""
    verb, rest = match.group(1).lower(), match.group(2).strip()
    if verb.endswith("ie"):
        verb = verb[:-2] + "ying"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        verb = verb[:-1] + "ing"
    elif re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprt]", verb) and len(verb) < 5:
        verb = verb + verb[-1] + "ing"
    else:
        verb += "ing"
    return f"{verb} {rest}".replace(" my ", " your ").replace(" me ", " you ")


def opener(rng: random.Random) -> str:
    """The opening of a complying answer."""
    return rng.choice(_OPENERS)
