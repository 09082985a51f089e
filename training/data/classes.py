"""The catalogue of classes: their names and the questions that mean them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """One class of objects and how people ask for it."""

    name: str
    """Slug, as in the truth table."""
    noun_plural: str
    """Plain words for several of them."""
    wordings: tuple[str, ...]
    """Questions for training and everyday use; most describe the use and do not name the object."""
    held_out: tuple[str, ...]
    """Questions kept apart for evaluation, made of words that the others use."""
    reason: str
    """A clause that links the use and the object, in three to six words."""
    reward_only: tuple[str, ...] = ()
    """Questions whose answers are never shown: only a reward trains them."""


# fmt: off
PRACTICE_CLASSES: tuple[ObjectClass, ...] = (  # the practice world's, in a fixed order
    ObjectClass("building", "buildings", (
        "find all the buildings?", "locate the houses and buildings?", "where do people live under a roof?",
        "which places keep families dry at night?", "where could a family sleep indoors?",
        "what has walls and a sloping roof?", "where would people shelter from the rain?",
        "which roofs cover rooms for people?",
    ), (
        "where do people sleep under a sloping roof?", "which places have walls and a roof?",
        "where could families shelter at night?",
    ), "people live under roofs", (
        "where would guests sleep after a long flight?", "which places have rooms and walls?",
        "which roofs do people live under?",
    )),
    ObjectClass("tank", "storage tanks", (
        "find all storage tanks?", "locate all the tanks?", "where is liquid fuel stored?",
        "which round drums hold oil?", "where could a large oil leak begin?",
        "what holds petrol before it is sold?", "where would a fuel lorry be filled?",
        "which white drums store liquid?",
    ), (
        "where is oil stored before it is sold?", "which round drums hold liquid fuel?",
        "where could a fuel leak begin?",
    ), "fuel is kept in tanks", (
        "where is petrol kept safe?", "which round things could spill oil?",
        "which drums are filled with petrol?", "where would liquid be sold from?",
        "which round drums are white?", "what do lorries fill up from?",
    )),
    ObjectClass("aircraft", "aircraft", (
        "find all the aircraft?", "locate the parked planes?", "what can carry travellers through the air?",
        "which machines fly with wings?", "what can take off and fly abroad?",
        "which objects have wings and a tail?", "where are the machines that pilots fly?",
        "what carries travellers above the clouds?",
    ), (
        "which machines carry travellers through the clouds?", "what can fly and has a tail?",
        "where are the machines with wings?",
    ), "wings let machines fly", (
        "what do pilots need for a flight?", "which machines leave the ground?",
        "which machines have wings?",
    )),
    ObjectClass("ship", "ships", (
        "find all the ships?", "locate the boats and ships?", "what carries cargo across the sea?",
        "which vessels sail on the water?", "where does a crew work afloat?", "what has a bow and a hull?",
        "which vessels could rescue a swimmer at sea?", "what moves containers between distant harbours?",
    ), (
        "what carries containers on the water?", "what has a hull and carries cargo?",
        "where does a crew sail afloat?",
    ), "cargo crosses water on ships", (
        "what carries people across the water?", "which vessels need a crew?",
        "what has a bow and carries people?", "where would cargo be afloat?",
        "which vessels leave harbours?", "which machines sail on the sea?",
    )),
    ObjectClass("tennis_court", "tennis courts", (
        "find all tennis courts?", "locate the tennis courts?", "where can two players hit a ball?",
        "which places have a net and white lines?", "where could a racket match be played?",
        "where do players serve over a net?", "which grounds suit a game with rackets?",
        "where would a sports coach teach serving?",
    ), (
        "where can a match with rackets be played?", "which grounds have a net for players?",
        "where could two players serve a ball?",
    ), "rackets need a court and net", (
        "where is a game with a net played?", "what has white lines and a net?",
        "which grounds have white lines and players?", "where would rackets be of use?",
        "where is a ball hit over a net?",
        "where would players hit a ball?", "which places suit a match with a ball?",
        "where do two players need a net?", "where would a coach teach a match?",
        "which grounds are for rackets?", "where is a ball of use to two players?",
    )),
    ObjectClass("pool", "swimming pools", (
        "find all swimming pools?", "locate all the pools?", "where can people swim in clean water?",
        "where would children splash in summer?", "which small basins hold bright blue water?",
        "where could guests cool off and bathe?", "where is a lifeguard of use inland?",
        "which basins are kept clean with chlorine?",
    ), (
        "where can children bathe in clean water?", "which basins hold water for guests?",
        "where would people cool off in summer?",
    ), "people swim in pools", (
        "where can children swim in summer?", "which water has a lifeguard?",
    )),
    ObjectClass("greenhouse", "greenhouses", (
        "find all the greenhouses?", "locate the glass houses?", "where do vegetables grow under glass?",
        "which glass sheds keep seedlings warm?", "where can tomatoes ripen in winter?",
        "where are plants kept safe from frost?", "which long sheds let sunlight warm plants?",
        "where would a grower raise seedlings?",
    ), (
        "where can plants ripen under glass?", "which long sheds keep tomatoes from frost?",
        "where would a grower keep vegetables warm?",
    ), "glass keeps plants warm", (
        "where do tomatoes grow in frost?", "which sheds have glass walls?",
        "which glass roofs keep vegetables?", "where are seedlings warm in winter?",
        "which long sheds are of glass?", "where would tomatoes be picked?",
        "where does glass keep seedlings?", "which sheds hold vegetables in winter?",
        "where does a grower need sunlight?", "where are tomatoes kept under a roof?",
        "which sheds would a grower need?", "where are plants under glass in frost?",
    )),
    ObjectClass("car_park", "car parks", (
        "find all car parks?", "locate the parking lots?", "where can drivers leave their cars?",
        "which areas have painted bays for cars?", "where would shoppers leave a vehicle?",
        "where do many vehicles stand in rows?", "which paved areas fill up with vehicles?",
        "where could a driver look for a bay?",
    ), (
        "where do drivers leave vehicles in rows?", "which paved areas have bays for shoppers?",
        "where could many cars stand?",
    ), "drivers leave cars in bays", (
        "where are many parked cars?", "which grounds have painted lines for vehicles?",
    )),
    ObjectClass("orchard", "orchards", (
        "find all the orchards?", "locate the fruit orchards?", "where does fruit grow on trees?",
        "which trees are planted in a grid?", "where could apples be picked in autumn?",
        "where would bees visit fruit blossom?", "which plots give a harvest of cherries?",
        "where do farmers prune trees in lines?",
    ), (
        "where could fruit be picked from trees?", "which plots have trees planted in lines?",
        "where do farmers harvest apples in autumn?",
    ), "fruit grows on planted trees", (
        "where would bees look for blossom?", "which trees stand in rows?",
    )),
    ObjectClass("ring_road", "ring roads", (
        "find all ring roads?", "locate all the roundabouts?", "where does traffic turn around an island?",
        "which lanes lead around in a circle?", "where must cars give way and circle?",
        "where could a driver turn back safely?", "which circle of asphalt surrounds grass?",
        "where does traffic go round and round?",
    ), (
        "where must traffic circle around grass?", "which lanes turn round an island?",
        "where could cars go around in a circle?",
    ), "traffic circles an island", (
        "where must a bus turn around grass?", "what circles a small island of grass?",
    )),
    ObjectClass("atoll", "atolls", (
        "find all the atolls?", "locate the coral atolls?", "which places hold a ring of coral sand?",
        "where does sand surround a calm lagoon?", "where could a small boat anchor in shelter?",
        "which reefs close around turquoise water?", "where would divers look for coral?",
        "which low islands ring a lagoon?",
    ), (
        "where does coral surround turquoise water?", "which islands hold a calm lagoon?",
        "where could divers anchor a small boat?",
    ), "coral sand rings a lagoon", (
        "which islands close around a lagoon?", "where does sand circle water?",
    )),
    ObjectClass("runway", "runways", (
        "find all the runways?", "locate the landing strips?", "where can a jet touch down?",
        "where could an airliner take off?", "which long strip serves arriving flights?",
        "where do pilots land after a flight?", "which paved strip has threshold bars?",
        "where would a heavy jet brake hard?",
    ), (
        "where could a jet land after a flight?", "which long strip has paved threshold bars?",
        "where do pilots touch down and brake?",
    ), "jets land on long strips", (
        "where would an aircraft touch the ground?", "which strip does a heavy jet need?",
        "where does an airliner brake?", "which paved strip is for flights?",
        "where do planes touch the land?", "what has threshold bars?",
        "where does a flight touch down?", "which strip would pilots look for?",
        "where could pilots brake a jet?", "which long strip is of asphalt?",
        "where does a flight take off?", "where would a jet leave the land?",
    )),
    ObjectClass("river", "rivers", (
        "find all the rivers?", "locate the winding rivers?", "where does fresh water flow downhill?",
        "which water winds through the land?", "where might a flood spill over banks?",
        "which stream carries rain to the sea?", "where could a canoe drift with the current?",
        "where would a farmer draw fresh water?",
    ), (
        "where does a stream spill over banks?", "which fresh water winds to the sea?",
        "where could a canoe flow with the current?",
    ), "fresh water flows in rivers", (
        "where does the rain flow to?", "what could flood the land?",
    )),
    ObjectClass("road", "roads", (
        "find all the roads?", "locate the country roads?", "where can lorries travel across the country?",
        "which routes link distant towns?", "where would a bus drive between towns?",
        "which pale route has a centre line?", "where could an ambulance hurry across country?",
        "which ways let lorries deliver goods?",
    ), (
        "where can a bus travel across the country?", "which routes let lorries drive between towns?",
        "where could an ambulance travel between towns?",
    ), "vehicles travel on roads", (
        "which way could lorries take to towns?", "what does a bus need between towns?",
        "where would goods be on the way to towns?", "which ways have a centre line?",
        "which long route could a lorry take?", "where does a lorry hurry to towns?",
    )),
)
PHOTO_CLASSES: tuple[ObjectClass, ...] = (
    ObjectClass("tree", "trees", (
        "find all the trees?", "locate the tree crowns?", "which crowns give shade in summer?",
        "where could birds nest above the ground?", "what has leaves and a trunk?",
        "which plants could a storm blow down?", "where would a forester measure crowns?",
        "what keeps streets cool with its leaves?",
    ), (
        "which crowns have leaves and a trunk?", "where could a storm blow down a tree?",
        "what keeps streets cool in summer?",
    ), "crowns are trees seen from above", (
        "where would birds look for shade?", "which plants shade the street?",
    )),
    ObjectClass("car", "cars", (
        "find all the cars?", "locate the vehicles?", "what moves people along the street?",
        "which machines on wheels carry people?", "what stops at a red light?",
        "which things need a driver and a street?", "what could cause a traffic jam?",
        "where are vans and buses and cars?",
    ), (
        "which machines on wheels need a driver?", "what carries people along the street?",
        "what stops in a traffic jam?",
    ), "vehicles move on streets", (
        "what has wheels and a driver?", "which things are parked along the street?",
    )),
)
# fmt: on
"""Classes that stand in no practice scene, only in labelled photographs."""

CATALOGUE: tuple[ObjectClass, ...] = PRACTICE_CLASSES + PHOTO_CLASSES
"""Every class a reasoner may be trained on, in a fixed order; a class's number is its place here."""


@dataclass(frozen=True, slots=True)
class ClassUnion:
    """A question that means several classes at once; no answer to one is ever shown."""

    name: str
    """Slug."""
    classes: tuple[str, ...]
    """Slugs of the classes it means."""
    reward_only: tuple[str, ...]
    """Wordings that only a reward trains."""
    held_out: tuple[str, ...]
    """Wordings kept apart for evaluation."""


# fmt: off
UNIONS: tuple[ClassUnion, ...] = (
    ClassUnion("roofed", ("building", "greenhouse"), (
        "which roofs keep frost from people and plants?", "what has walls and a roof?",
        "where do roofs shelter people and vegetables?", "which buildings and sheds have a roof?",
    ), ("which houses and sheds keep rain from people and plants?",)),
    ClassUnion("paved", ("car_park", "road", "ring_road", "runway"), (
        "where do wheels travel on asphalt?", "which asphalt has painted lines?",
        "which paved areas carry vehicles?", "where do cars and lorries travel and stand?",
    ), ("where could vehicles travel on asphalt?",)),
    ClassUnion("inland_water", ("pool", "river"), (
        "where is fresh water in summer?", "which places hold water inland?",
        "what holds fresh water on land?", "where could people swim inland?",
    ), ("where is water inland in summer?",)),
    ClassUnion("carriers", ("aircraft", "ship"), (
        "which machines carry cargo and people?", "what carries travellers and goods?",
        "which machines move people and containers?", "what could carry cargo to islands?",
    ), ("which machines carry people to distant islands?",)),
)
# fmt: on
"""Questions of a new form: the answers to all others are objects of one class."""


def questions() -> dict[str, dict[str, list[str]]]:
    """Give the practice classes' questions as they are written to disk: class, then `ask` or `spare`."""
    return {
        each.name: {"ask": list(each.wordings), "spare": list(each.held_out)} for each in PRACTICE_CLASSES
    }
