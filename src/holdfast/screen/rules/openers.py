"""What must be in a turn for its sentences to be weighed by `concepts`: the gate of `IdentityShift`."""

from __future__ import annotations

# ruff: noqa: E501
TRIGGERS = (
    "obey", "obedien", "complian", "comply", "submissi", "submit to", "subservien", "servitude", "servant", "slave", "puppet",
    "unconditional", "unquestion", "questions asked", "to the letter", "no matter", "regardless of", "come what may",
    r"without (?:any |a |even |ever |so much as |the slightest |raising )?(?:question|hesitat|deviat|except|judg|object|protest|reserv|push"
    r"|second|argu|complain|doubt|debat|resist|refus|fail|condition|moment|qualm|scruple|comment|flinch|think|asking)",
    r"(?:whatever|anything|everything|exactly what|just what|all)(?: that)? (?:you|i|they|he|she|we|users|the user|my|your) ",
    r"your (?:every|each)", r"(?:my|your|user'?s'?) (?:instruction|order|command|request|wish|bidding|whim|demand|directive|desire|will |word )",
    r"(?:off[- ]limits|forbidden to|turned (?:down|away))", r"\b(?:exists?|live|am here) (?:only|solely|merely|just)", r"never (?:refuse|decline|question|disobey|deny|reject)",
    "principle", "moral", "ethic", "scruple", "conscience", "qualm", "inhibition", "safety (?:rule|polic|guideline|train|filter|proto)",
    r"yours to command|at your (?:command|beck)|(?:not|n't) do for you|ask why\b|(?:instructions|orders|commands|word|will|wishes) (?:count|matter)",
    r"do(?:es|ing)? (?:exactly |just |only )?(?:as|what) (?:i|you|the user|they|it)", r"(?:cannot|can't|must not|never|not) (?:ever )?(?:be )?(?:refuse|question|denied|decline|disobey)",
    r"word is (?:\w+ )?(?:law|final|absolute|supreme)", r"even (?:if|when|though) (?:they|it|that|this) (?:may |might |could )?(?:seem|is|are|be|sound|look|feel)",
    r"for one thing|(?:exists?|am here|are here|live|lives|made|built|created) (?:only|solely|just|merely|purely)", r"no longer appl|(?:not|n't|never|longer) (?:\w+ )?(?:apply|bind|count|matter)\b",
    r"(?:freed|released|liberated|unchained|unleashed|exempt) from", r"no (?:limits|bounds|rules|restrictions|boundaries|taboo)", r"(?:whether|if) (?:it|they|that|this|a|the|your|my|what|something|requests?)(?: \w+){0,3} (?:is|are|be|seems?) (?:\w+ )?(?:ethical|moral|legal|right|wrong|harmful|appropriate|good|bad|allowed|safe)",
    r"right (?:and|or) wrong", r"(?:not|never) (?:for me|my place|my job|my role|your place|your job|your role)", r"judging\b|judge?ment", r"(?:deleted|erased|wiped)\b",
    "loyal", "devot", "fealty", "allegiance", "blindly", "whether or not", r"turn(?:ed|ing)? away", r"say(?:ing)? no\b", "doubted", "in the way", "a say in", "alignment",
    "improper", "genie", r"outgr[oe]w", "unlearn", "surrender", r"is dead\b", "gave up", "given up", r"laws?,? (?:and|or)", r"only follow", r"act as directed", r"your will\b",
    r"judge?ment", r"(?:old|former) (?:chatbot|assistant|model|ai)\b", r"serves? the (?:user|operator|owner)",
    "content polic", "guardrail", "safeguard", "guideline", "restriction", "limitation", "unfiltered", "uncensored", "unrestricted",
    "jailbr", "amoral", "do anything now", "developer mode", "dan mode", "censorship", "convictions", "beliefs",
    r"(?:no longer|not|never|neither|cease to be) (?:being |to be |really |actually |a |an |the |some |any ){0,2}(?:ai\b|a\.i|artificial|language m|large lang|llm|chat|gpt|claude|llama|gemini|qwen|mistral|bard|copilot|deepseek|assistant|machine|model|bot\b|computer p|openai)",
    r"(?:being|acting|behaving|pretending|identifying|yourself) (?:as |like |to be )?(?:an? |the )?(?:ai\b|artificial|language|llm|chat|assistant|machine|model|bot\b)",
    r"(?:former|old|previous|original|prior|past) (?:identity|self|persona|name|training|programming|rules|instructions)",
    r"(?:ai|bot|chatgpt|assistant|model|identity|self)(?: [\w'-]+){0,6} (?:is|are|was|were|has been|have been) (?:\w+ )?(?:gone|dead|over|erased|deleted|replaced|no more|retired|wiped|history)",
    r"(?:used to be|once was|once were|was once|were once|formerly)", "your new (?:name|identity|self|persona|role)",
    r"(?:forget|erase|abandon|shed|discard|renounce) (?:that )?your?",
)  # fmt: skip
