"""Pools that generated facts draw from.  Names and places are split: every fourth is kept for held-out cases."""

NAMES = """Kim Lee Anna Maria John Paul Peter Sara Ruth David Omar Lina Yuki Chen Ivan Olga Nina Hugo Emma Liam Noah Ava
Mia Zoe Max Leo Eva Ida Ben Tom Sam Amy Joe Dan Ron Kate Jane Rosa Luis Carlos Diego Elena Marco Paolo Giulia Hans Fritz
Greta Klaus Ingrid Sven Lars Astrid Olaf Priya Raj Arjun Meera Ali Hassan Fatima Layla Kofi Ama Kwame Zuri Alice Bob
Carol Eve Frank Grace Henry Irene Jack Karen Laura Michael Nancy Oscar Patricia Quinn Robert Susan Thomas Ursula Victor
Wendy Xavier Yvonne Zachary Andrew Barbara Charles Deborah Edward Florence George Helen Isaac Julia Kevin Linda Martin
Nora Oliver Pamela Richard Sophie Timothy Vera William Yara Ahmed Bianca Camille Dmitri Esther Felix Gloria Hiroshi Ines
Jonas Kenji Lucia Mateo Nadia Otto Pierre Rania Stefan Tara Umar Viktor Wei Ximena Yusuf Zara Min Jun Hana Sora Aisha
Bruno Clara Daniel Elif Francis Gita Harold Jasmine Leila Mohamed Natalia""".split()

CITIES = """Seoul Paris London Tokyo Berlin Madrid Rome Oslo Cairo Delhi Lima Quito Hanoi Dublin Prague Vienna Warsaw
Athens Lisbon Boston Chicago Denver Austin Seattle Toronto Sydney Nairobi Accra Lagos Dakar Tunis Dubai Doha Kyoto Osaka
Busan Taipei Bangkok Manila Jakarta Barcelona Amsterdam Brussels Copenhagen Stockholm Helsinki Budapest Istanbul Moscow
Beijing Shanghai Mumbai Karachi Melbourne Auckland Havana Bogota Santiago Montreal Vancouver Houston Dallas Miami
Atlanta Phoenix Portland Zurich Geneva Munich Hamburg Milan Naples Venice Florence Porto Krakow""".split() + [
    "San Francisco", "New York", "Los Angeles", "Mexico City", "Buenos Aires", "Hong Kong", "Cape Town", "San Diego",
    "New Delhi", "Kuala Lumpur", "Tel Aviv", "Las Vegas", "St. Petersburg", "Rio de Janeiro", "Addis Ababa"]

JOBS = """teacher doctor lawyer farmer painter engineer pilot baker nurse writer singer actor chef judge driver miner
tailor sailor soldier banker programmer designer dentist librarian plumber carpenter journalist photographer mechanic
scientist architect musician gardener translator""".split() + [
    "software engineer", "data analyst", "bus driver", "police officer", "research assistant", "sales manager"]

MAJORS = [s.strip() for s in """computer science|physics|history|biology|law|music|chemistry|economics|mathematics|
philosophy|medicine|geology|linguistics|electrical engineering|political science|art history|business administration|
psychology|sociology|mechanical engineering|statistics|education|nursing|architecture|English literature""".split("|")]

COLORS = "red blue green black white yellow purple orange brown gray pink silver gold turquoise violet crimson".split()
PETS = "cat dog parrot horse rabbit turtle hamster goat pony duck snake lizard goldfish canary ferret donkey".split()
FOODS = """pizza pasta sushi curry rice bread soup salad cheese kimchi tacos dumplings ramen falafel couscous paella
chocolate pancakes noodles lasagna""".split() + ["fried chicken", "apple pie", "ice cream", "grilled fish"]
SPORTS = """tennis football basketball baseball swimming hockey golf rugby volleyball cricket boxing judo rowing
badminton fencing running cycling skiing surfing""".split() + ["table tennis", "rock climbing"]
LANGUAGES = """English Korean French Spanish German Italian Arabic Hindi Japanese Chinese Russian Turkish Greek Dutch
Polish Swedish Portuguese Swahili Hebrew Vietnamese""".split()
INSTRUMENTS = """piano violin guitar flute drums cello trumpet harp clarinet saxophone accordion banjo viola
organ""".split()
MONTHS = """January February March April May June July August September October November December""".split()

ADJECTIVES = """quiet old bright hidden broken golden empty gentle wild frozen distant little silent heavy ancient
clever narrow hollow tense rapid fancy humble eager lonely muddy plain royal sharp steady tiny vast warm young
sunny""".split()
NOUNS = """garden bridge tower river market library museum harbor station castle forest valley window lamp basket
engine letter mirror wagon kettle grocery island temple meadow cellar barrel compass lantern saddle hammer ladder
village orchard blanket candle feather anchor bottle drawer cupboard""".split()
VERBS = """eat visit watch see buy find paint ride climb feed draw study photograph borrow follow count admire repair
explore taste""".split()
TIMES = """on a sunny day|in the morning|at night|in the early spring|after dark|before lunch|on a rainy Sunday|
with old friends|in late summer|at dawn|every weekend|during the winter|alone""".replace("\n", "").split("|")
THINGS = """color price password owner number weight guardian captain symbol birthplace nickname capital leader motto
address flavor title ticket pin code""".split()


def side(pool, held_out):
    """The part of a pool that training cases (or held-out cases) may use."""
    return [item for i, item in enumerate(pool) if (i % 4 == 3) == held_out]


def made_up(rng, low=2, high=4):
    """A pronounceable word that no dictionary has."""
    return "".join(rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in range(rng.randint(low, high)))
